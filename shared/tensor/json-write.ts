import { isUtf8 } from 'node:buffer';
import { SkerryError } from '#shared/kernel/errors.js';
import { nextBytesElement } from './bytes-elements.js';
import { type ElementArray, elementsOf, isFixedSize } from './elements.js';
import { notFiniteOf } from './not-finite.js';
import type { Tensor } from './tensor.js';

/** Elements, or bytes of strings, in one piece of text: some hundred microseconds of work. */
const PIECE_ELEMENTS = 1_000;
const PIECE_BYTES = 64 * 1024;

/**
 * Checks that JSON can carry a tensor as it is: FP16, BF16 and BYTES that are not UTF-8 are refused with `TENSOR_NOT_IN_JSON`. It can
 * be interrupted wherever it yields. What passed, `jsonPieces` writes without fail.
 */
export function* checkJson(tensor: Tensor, what: string): Generator<void, void> {
  if (tensor.datatype === 'FP16' || tensor.datatype === 'BF16') {
    throw new SkerryError('TENSOR_NOT_IN_JSON', `${what} is ${tensor.datatype}, which has no JSON form`);
  }
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

/**
 * The elements of a tensor as one flat row-major JSON array, in pieces of text. 64-bit integers beyond 2^53 become decimal strings,
 * values that are not finite the strings "NaN", "Infinity" and "-Infinity".
 */
export function* jsonPieces(tensor: Tensor): Generator<string, void> {
  yield '[';
  if (isFixedSize(tensor)) yield* numberPieces(elementsOf(tensor), tensor.datatype === 'BOOL');
  else yield* textPieces(tensor.data);
  yield ']';
}

function* numberPieces(elements: ElementArray, isBool: boolean): Generator<string, void> {
  for (let from = 0; from < elements.length; from += PIECE_ELEMENTS) {
    const part = elements.subarray(from, from + PIECE_ELEMENTS);
    const values = Array.from<number | bigint, unknown>(part, isBool ? (value) => value !== 0 : jsonNumber);
    yield `${from === 0 ? '' : ','}${JSON.stringify(values).slice(1, -1)}`;
  }
}

function jsonNumber(value: number | bigint): number | string {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  return notFiniteOf(value) ?? value;
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
