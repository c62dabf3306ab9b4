import { SkerryError } from '#shared/kernel/errors.js';
import { atOnce } from '#shared/kernel/turns.js';
import { checkBytesElements } from './bytes-elements.js';
import { type Datatype, elementSize } from './datatype.js';
import { elementCount, formatShape } from './shape.js';
import type { Tensor } from './tensor.js';

/** The tensor as raw bytes (OIP v2 binary tensor data extension); our tensors already have that form. */
export function toBinary(tensor: Tensor): Uint8Array {
  return tensor.data;
}

/**
 * A tensor over raw little-endian bytes (a view, not a copy). The length must be exactly what datatype and shape ask for,
 * BOOL elements must be 0 or 1, and BYTES elements must fill the data; anything else is `TENSOR_DATA`.
 */
export function fromBinary(datatype: Datatype, shape: readonly number[], bytes: Uint8Array, what: string): Tensor {
  return atOnce(readBinary(datatype, shape, bytes, what));
}

/** Whether bytes of this datatype make a tensor without a look at each element. */
export function isView(datatype: Datatype): boolean {
  return datatype !== 'BOOL' && elementSize(datatype) !== undefined;
}

/** The same where only the length has to be looked at; undefined for datatypes whose elements have to be checked. */
export function fromFixedBinary(datatype: Datatype, shape: readonly number[], bytes: Uint8Array, what: string): Tensor | undefined {
  const size = isView(datatype) ? elementSize(datatype) : undefined;
  if (size === undefined) return undefined;
  checkLength(datatype, shape, bytes, elementCount(shape, what) * size, what);
  return { datatype, shape, data: bytes };
}

/** The same as work that can be interrupted wherever it yields. */
export function* readBinary(datatype: Datatype, shape: readonly number[], bytes: Uint8Array, what: string): Generator<void, Tensor> {
  const count = elementCount(shape, what);
  const size = elementSize(datatype);
  if (size === undefined) {
    yield* checkBytesElements(bytes, count, what);
  } else {
    checkLength(datatype, shape, bytes, count * size, what);
  }
  if (datatype === 'BOOL') yield* checkBools(bytes, what);
  return { datatype, shape, data: bytes };
}

function checkLength(datatype: Datatype, shape: readonly number[], bytes: Uint8Array, length: number, what: string): void {
  if (bytes.byteLength === length) return;
  throw new SkerryError(
    'TENSOR_DATA',
    `${what}: ${datatype} ${formatShape(shape)} takes ${length} bytes, the data has ${bytes.byteLength}`,
  );
}

const BOOLS_AT_ONCE = 64 * 1024;

function* checkBools(bytes: Uint8Array, what: string): Generator<void, void> {
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes[at] ?? 0;
    if (byte > 1) throw new SkerryError('TENSOR_DATA', `${what}: BOOL element ${at} is ${byte}, it must be 0 or 1`);
    if (at % BOOLS_AT_ONCE === 0) yield;
  }
}
