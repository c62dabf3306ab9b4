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

/** The same as work that can be interrupted wherever it yields. */
export function* readBinary(datatype: Datatype, shape: readonly number[], bytes: Uint8Array, what: string): Generator<void, Tensor> {
  const count = elementCount(shape, what);
  const size = elementSize(datatype);
  if (size === undefined) {
    yield* checkBytesElements(bytes, count, what);
  } else if (bytes.byteLength !== count * size) {
    throw new SkerryError(
      'TENSOR_DATA',
      `${what}: ${datatype} ${formatShape(shape)} takes ${count * size} bytes, the data has ${bytes.byteLength}`,
    );
  }
  if (datatype === 'BOOL') yield* checkBools(bytes, what);
  return { datatype, shape, data: bytes };
}

const BOOLS_AT_ONCE = 64 * 1024;

function* checkBools(bytes: Uint8Array, what: string): Generator<void, void> {
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes[at] ?? 0;
    if (byte > 1) throw new SkerryError('TENSOR_DATA', `${what}: BOOL element ${at} is ${byte}, it must be 0 or 1`);
    if (at % BOOLS_AT_ONCE === 0) yield;
  }
}
