import { sizeOfVarint } from '#shared/protobuf/writer.js';
import { checkOneValue, type ExampleScores } from '../example-scores.js';
import { GrowingBytes } from './growing-bytes.js';

// classification.proto and regression.proto. A result has a message for each score, so it is written into bytes as it comes.

const SCORES_AT_ONCE = 1_000;

/** Tags: field 1 with bytes, field 2 and field 1 with four bytes. */
const FIRST = 10;
const SCORE = 21;
const VALUE = 13;
const FLOAT_BYTES = 5;

/** ClassificationResult: for each example, its classes with their scores. It can be interrupted wherever it yields. */
export function* classificationResult({ examples, classes, score, label }: ExampleScores): Generator<void, Uint8Array> {
  const [result, ofExample] = [newBytes(), newBytes()];
  for (let example = 0; example < examples; example++) {
    ofExample.clear();
    for (let at = 0; at < classes; at++) {
      appendClass(ofExample, label(at), score(example, at));
      if ((example * classes + at) % SCORES_AT_ONCE === 0) yield;
    }
    appendHead(result, ofExample.size);
    result.append(ofExample.bytes());
  }
  return result.bytes();
}

/** RegressionResult: a value for each example. Errors: `SERVE_REQUEST` where the model gives several. */
export function* regressionResult(scores: ExampleScores): Generator<void, Uint8Array> {
  checkOneValue(scores);
  const result = newBytes();
  for (let example = 0; example < scores.examples; example++) {
    if (example % SCORES_AT_ONCE === 0) yield;
    appendHead(result, FLOAT_BYTES);
    appendFloat(result, VALUE, scores.score(example, 0));
  }
  return result.bytes();
}

/** How long it is follows from the model, which was loaded here. */
function newBytes(): GrowingBytes {
  return new GrowingBytes(Number.MAX_SAFE_INTEGER, 'the result');
}

function appendClass(to: GrowingBytes, label: string, score: number): void {
  const text = label === '' ? NO_TEXT : Buffer.from(label);
  appendHead(to, (text.byteLength === 0 ? 0 : 1 + sizeOfVarint(text.byteLength) + text.byteLength) + FLOAT_BYTES);
  if (text.byteLength > 0) {
    appendHead(to, text.byteLength);
    to.append(text);
  }
  appendFloat(to, SCORE, score);
}

const NO_TEXT = new Uint8Array();

/** The tag of field 1, which is a message or a text here, and its length. */
function appendHead(to: GrowingBytes, length: number): void {
  let at = to.extend(1 + sizeOfVarint(length));
  to.view.setUint8(at++, FIRST);
  let rest = length;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) to.view.setUint8(at++, (rest % 0x80) | 0x80);
  to.view.setUint8(at, rest);
}

function appendFloat(to: GrowingBytes, tag: number, value: number): void {
  const at = to.extend(FLOAT_BYTES);
  to.view.setUint8(at, tag);
  to.view.setFloat32(at + 1, value, true);
}
