import { SkerryError } from '#shared/kernel/errors.js';
import { atOnce } from '#shared/kernel/turns.js';

const LENGTH_BYTES = 4;

/** Joins BYTES elements, each behind its 4-byte little-endian length (OIP v2 binary tensor data extension). */
export function joinBytesElements(elements: readonly Uint8Array[]): Uint8Array {
  const data = new Uint8Array(elements.reduce((sum, element) => sum + LENGTH_BYTES + element.byteLength, 0));
  const view = new DataView(data.buffer);
  let offset = 0;
  for (const element of elements) {
    view.setUint32(offset, element.byteLength, true);
    data.set(element, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + element.byteLength;
  }
  return data;
}

/** As `joinBytesElements`, of the texts of values, without a copy of each. */
export function encodeBytesElements(values: readonly unknown[]): Uint8Array {
  const data = Buffer.alloc(values.reduce<number>((sum, value) => sum + LENGTH_BYTES + Buffer.byteLength(String(value)), 0));
  let offset = 0;
  for (const value of values) {
    const length = data.write(String(value), offset + LENGTH_BYTES);
    data.writeUInt32LE(length, offset);
    offset += LENGTH_BYTES + length;
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * The element that begins at `offset` of a BYTES tensor's data (a view, not a copy), and where it ends; `undefined` at the end of the
 * data. The data was checked.
 */
export function nextBytesElement(data: Uint8Array, offset: number): { readonly bytes: Uint8Array; readonly end: number } | undefined {
  if (offset >= data.byteLength) return undefined;
  const start = offset + LENGTH_BYTES;
  const end = start + lengthAt(data, offset);
  return { bytes: data.subarray(start, end), end };
}

/**
 * Checks that a BYTES tensor's data holds `count` elements and nothing else; `TENSOR_DATA` when lengths and bytes do not add up. It
 * can be interrupted wherever it yields.
 */
export function* checkBytesElements(data: Uint8Array, count: number, what: string): Generator<void, void> {
  let offset = 0;
  let elements = 0;
  for (; offset < data.byteLength && elements < count; elements++) {
    const start = offset + LENGTH_BYTES;
    const end = start > data.byteLength ? start : start + lengthAt(data, offset);
    if (end > data.byteLength) {
      throw new SkerryError('TENSOR_DATA', `${what}: element ${elements} ends at byte ${end}, beyond the ${data.byteLength} given`);
    }
    offset = end;
    if (elements % CHECKED_AT_ONCE === 0) yield;
  }
  if (elements === count && offset === data.byteLength) return;
  const found = elements === count ? `${count} elements and ${data.byteLength - offset} bytes too many` : `${elements} elements`;
  throw new SkerryError('TENSOR_DATA', `${what}: its shape asks for ${count} BYTES elements, the data holds ${found}`);
}

const CHECKED_AT_ONCE = 10_000;

function lengthAt(data: Uint8Array, offset: number): number {
  return (data[offset] ?? 0) + (data[offset + 1] ?? 0) * 0x100 + (data[offset + 2] ?? 0) * 0x1_0000 + (data[offset + 3] ?? 0) * 0x100_0000;
}

/** Splits a BYTES tensor's data into `count` elements (views, not copies); `TENSOR_DATA` when lengths and bytes do not add up. */
export function splitBytesElements(data: Uint8Array, count: number, what: string): readonly Uint8Array[] {
  atOnce(checkBytesElements(data, count, what));
  const elements: Uint8Array[] = [];
  for (let element = nextBytesElement(data, 0); element !== undefined; element = nextBytesElement(data, element.end)) {
    elements.push(element.bytes);
  }
  return elements;
}
