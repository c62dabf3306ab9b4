import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { fromBinary } from './binary.js';
import { joinBytesElements, splitBytesElements } from './bytes-elements.js';
import { type Datatype, elementSize } from './datatype.js';
import { readNpyHeader, writeNpyHeader } from './npy-header.js';
import { npyInvalid } from './npy-invalid.js';
import { elementCount } from './shape.js';
import type { Tensor } from './tensor.js';

// The format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1.0 to 3.0.

/** NumPy's type codes of elements that have one size, without the mark of the byte order. */
const FIXED_TYPES: ReadonlyMap<string, Datatype> = new Map<string, Datatype>([
  ['b1', 'BOOL'],
  ['u1', 'UINT8'],
  ['u2', 'UINT16'],
  ['u4', 'UINT32'],
  ['u8', 'UINT64'],
  ['i1', 'INT8'],
  ['i2', 'INT16'],
  ['i4', 'INT32'],
  ['i8', 'INT64'],
  ['f2', 'FP16'],
  ['f4', 'FP32'],
  ['f8', 'FP64'],
  // NumPy has no bfloat16 of its own: ml_dtypes saves it as two plain bytes.
  ['V2', 'BF16'],
]);

const UNICODE_BYTES = 4;

/**
 * Reads the array of an npy file. Numbers are views over `bytes` where those are little-endian; text (`U`) becomes BYTES in
 * UTF-8, byte strings (`S`) become BYTES without the NULs that NumPy fills them with. `NPY_INVALID` for anything that is no
 * array in C order of a supported element type.
 */
export function readNpy(bytes: Uint8Array, what: string): Tensor {
  const { descr, shape, dataAt } = readNpyHeader(bytes, what);
  const data = bytes.subarray(dataAt);
  const [, order = '', kind = '', width = ''] = /^([<>|=]?)([a-zA-Z])(\d{0,9})$/.exec(descr) ?? [];
  try {
    if (kind === 'U' || kind === 'S') return textTensor(data, shape, kind, Number(width), order === '>', what);
    const datatype = FIXED_TYPES.get(kind + width);
    if (datatype === undefined) throw npyInvalid(what, `its elements are ${explain(descr, kind)}`);
    return fromBinary(datatype, shape, order === '>' ? swapped(data, elementSize(datatype) ?? 1) : data, what);
  } catch (cause) {
    if (!(cause instanceof SkerryError) || cause.code === 'NPY_INVALID') throw cause;
    throw npyInvalid(what, cause.message, cause);
  }
}

/**
 * Writes a tensor as an npy file, version 1.0, in C order. BYTES are written as text (`U`) when every element is UTF-8, else
 * as byte strings (`S`). NumPy drops NULs at the end of both, so an element that ends with one is refused: `NPY_INVALID`.
 */
export function writeNpy(tensor: Tensor, what: string): Uint8Array {
  if (tensor.datatype === 'BYTES') return writeText(tensor, what);
  const code = [...FIXED_TYPES].find(([, datatype]) => datatype === tensor.datatype)?.[0] ?? 'u1';
  const order = elementSize(tensor.datatype) === 1 || tensor.datatype === 'BF16' ? '|' : '<';
  return writeNpyHeader(order + code, tensor.shape, tensor.data);
}

function textTensor(data: Uint8Array, shape: readonly number[], kind: string, width: number, bigEndian: boolean, what: string): Tensor {
  const size = kind === 'U' ? width * UNICODE_BYTES : width;
  const count = elementCount(shape, what);
  if (data.byteLength !== count * size) {
    throw npyInvalid(what, `its shape and elements of ${size} bytes take ${count * size} bytes, the file has ${data.byteLength}`);
  }
  const read = kind === 'U' ? (element: Uint8Array) => fromUtf32(element, bigEndian, what) : withoutNuls;
  const elements: Uint8Array[] = [];
  for (let index = 0; index < count; index++) elements.push(read(data.subarray(index * size, (index + 1) * size)));
  return { datatype: 'BYTES', shape, data: joinBytesElements(elements) };
}

function fromUtf32(element: Uint8Array, bigEndian: boolean, what: string): Uint8Array {
  const view = new DataView(element.buffer, element.byteOffset, element.byteLength);
  const points: number[] = [];
  for (let at = 0; at < element.byteLength; at += UNICODE_BYTES) points.push(view.getUint32(at, !bigEndian));
  while (points.at(-1) === 0) points.pop();
  const bad = points.find((point) => point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff));
  if (bad !== undefined) throw npyInvalid(what, `its text holds the number ${bad}, which is no character`);
  return new TextEncoder().encode(points.map((point) => String.fromCodePoint(point)).join(''));
}

function withoutNuls(element: Uint8Array): Uint8Array {
  let end = element.byteLength;
  while (end > 0 && element[end - 1] === 0) end--;
  return element.subarray(0, end);
}

function writeText(tensor: Tensor, what: string): Uint8Array {
  const elements = splitBytesElements(tensor.data, elementCount(tensor.shape, what), what);
  const ended = elements.findIndex((element) => element.at(-1) === 0);
  if (ended >= 0) {
    throw new SkerryError('NPY_INVALID', `${what}: element ${ended} ends with a NUL, which NumPy drops; write safetensors instead`);
  }
  const texts = decodeAll(elements);
  if (texts === undefined) return writeStrings(elements, tensor.shape, what);
  const points = texts.map((text) => Array.from(text, (character) => character.codePointAt(0) ?? 0));
  const width = Math.max(1, longest(points));
  checkSize(points.length * width * UNICODE_BYTES, what);
  const data = new Uint8Array(points.length * width * UNICODE_BYTES);
  const view = new DataView(data.buffer);
  for (const [index, characters] of points.entries()) {
    for (const [at, point] of characters.entries()) view.setUint32((index * width + at) * UNICODE_BYTES, point, true);
  }
  return writeNpyHeader(`<U${width}`, tensor.shape, data);
}

function writeStrings(elements: readonly Uint8Array[], shape: readonly number[], what: string): Uint8Array {
  const width = Math.max(1, longest(elements));
  checkSize(elements.length * width, what);
  const data = new Uint8Array(elements.length * width);
  for (const [index, element] of elements.entries()) data.set(element, index * width);
  return writeNpyHeader(`|S${width}`, shape, data);
}

/** Every element takes the room of the longest, so that one long text among many could ask for any amount of memory. */
function checkSize(bytes: number, what: string): void {
  if (bytes <= LIMITS.npyTextBytes) return;
  throw new SkerryError(
    'NPY_INVALID',
    `${what} would take ${bytes} bytes as npy, at most ${LIMITS.npyTextBytes} are written; write safetensors instead`,
  );
}

function longest(items: readonly { readonly length: number }[]): number {
  return items.reduce((most, item) => Math.max(most, item.length), 0);
}

function decodeAll(elements: readonly Uint8Array[]): readonly string[] | undefined {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    return elements.map((element) => decoder.decode(element));
  } catch {
    return undefined;
  }
}

/** The bytes of big-endian elements in little-endian order, as a copy. */
function swapped(data: Uint8Array, size: number): Uint8Array {
  const copy = new Uint8Array(data);
  for (let at = 0; at + size <= copy.byteLength; at += size) copy.subarray(at, at + size).reverse();
  return copy;
}

function explain(descr: string, kind: string): string {
  const names: Readonly<Partial<Record<string, string>>> = {
    O: 'Python objects, which are pickled; convert the array, for example with x.astype("float32") or x.astype("U")',
    c: 'complex numbers',
    M: 'dates',
    m: 'time spans',
    V: 'plain memory (void)',
  };
  const name = Object.hasOwn(names, kind) ? names[kind] : undefined;
  return name === undefined ? `of type ${JSON.stringify(descr)}, which is not supported` : `${name} (${descr})`;
}
