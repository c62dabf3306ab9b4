import { isUtf8 } from 'node:buffer';
import { SkerryError } from '#shared/kernel/errors.js';
import { nextBytesElement } from './bytes-elements.js';
import type { Datatype } from './datatype.js';
import { type ElementArray, elementsOf, isFixedSize } from './elements.js';
import { floatForm } from './float-form.js';
import { notFiniteOf } from './not-finite.js';
import type { Tensor } from './tensor.js';

/** Elements, or bytes of strings, in one piece of text: some hundred microseconds of work. */
const PIECE_ELEMENTS = 1_000;
const PIECE_BYTES = 64 * 1024;

/**
 * Checks that JSON can carry a tensor as it is: BYTES that are not UTF-8 are refused with `TENSOR_NOT_IN_JSON`. It can be interrupted
 * wherever it yields. What passed, `jsonPieces` writes without fail.
 */
export function* checkJson(tensor: Tensor, what: string): Generator<void, void> {
  if (isFixedSize(tensor)) return;
  let mark = PIECE_BYTES;
  let element = nextBytesElement(tensor.data, 0);
  for (let at = 0; element !== undefined; at++) {
    if (!isUtf8(element.bytes)) throw new SkerryError('TENSOR_NOT_IN_JSON', `${what}: element ${at} is not UTF-8 text`);
    if (element.end >= mark || at % PIECE_ELEMENTS === 0) {
      mark = element.end + PIECE_BYTES;
      yield;
    }
    element = nextBytesElement(tensor.data, element.end);
  }
}

/** How whole numbers beyond 2^53 are written: as numbers, with all digits, or as strings for a reader that has no room for them. */
export type LongIntegers = 'numbers' | 'strings';

/**
 * The elements of a tensor as one flat row-major JSON array, in pieces of text: floating-point numbers exactly, -0 as -0.0, and values
 * that are not finite as the strings "NaN", "Infinity" and "-Infinity".
 */
export function* jsonPieces(tensor: Tensor, longIntegers: LongIntegers = 'numbers'): Generator<string, void> {
  yield '[';
  if (isFixedSize(tensor)) yield* partsOf(elementsOf(tensor), writerOf(tensor.datatype, longIntegers));
  else yield* textPieces(tensor.data);
  yield ']';
}

/** Elements as JSON, separated by commas. */
type Write = (part: ElementArray) => string;

function* partsOf(elements: ElementArray, write: Write): Generator<string, void> {
  for (let from = 0; from < elements.length; from += PIECE_ELEMENTS) {
    yield `${from === 0 ? '' : ','}${write(elements.subarray(from, from + PIECE_ELEMENTS))}`;
  }
}

function writerOf(datatype: Datatype, longIntegers: LongIntegers): Write {
  if (datatype === 'BOOL') return (part) => Array.from<number | bigint, string>(part, (value) => String(value !== 0)).join();
  const form = floatForm(datatype);
  if (form === undefined) return integerTexts(longIntegers);
  return (part) => floatTexts(Array.from<number | bigint, number>(part, (element) => form.read(Number(element))));
}

function floatTexts(values: readonly number[]): string {
  // One call for all is twice as fast as a text for each.
  if (values.every((value) => Number.isFinite(value) && !Object.is(value, -0))) return JSON.stringify(values).slice(1, -1);
  // Python's parser would take the integer -0 for 0.
  return values.map((value) => (Object.is(value, -0) ? '-0.0' : JSON.stringify(notFiniteOf(value) ?? value))).join();
}

function integerTexts(longIntegers: LongIntegers): Write {
  if (longIntegers === 'numbers') return (part) => part.join();
  return (part) => Array.from<number | bigint, string>(part, (value) => (isSafe(value) ? String(value) : `"${value}"`)).join();
}

function isSafe(value: number | bigint): boolean {
  return Number.isSafeInteger(Number(value));
}

function* textPieces(data: Uint8Array): Generator<string, void> {
  let piece = '';
  let element = nextBytesElement(data, 0);
  for (let at = 0; element !== undefined; at++) {
    piece += at === 0 ? '"' : ',"';
    for (const text of textOf(element.bytes)) {
      piece += JSON.stringify(text).slice(1, -1);
      if (piece.length < PIECE_BYTES) continue;
      yield piece;
      piece = '';
    }
    piece += '"';
    element = nextBytesElement(data, element.end);
  }
  yield piece;
}

/** A string in pieces that begin and end between characters. */
function* textOf(bytes: Uint8Array): Generator<string, void> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < buffer.byteLength; ) {
    let end = Math.min(buffer.byteLength, start + PIECE_BYTES);
    while (end < buffer.byteLength && ((buffer[end] ?? 0) & 0xc0) === 0x80) end--;
    yield buffer.toString('utf8', start, end);
    start = end;
  }
}
