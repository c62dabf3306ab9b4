import { SkerryError } from '#shared/kernel/errors.js';
import { splitBytesElements } from './bytes-elements.js';
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
  const count = elementCount(shape, what);
  const size = elementSize(datatype);
  if (size === undefined) {
    splitBytesElements(bytes, count, what);
  } else if (bytes.byteLength !== count * size) {
    throw new SkerryError(
      'TENSOR_DATA',
      `${what}: ${datatype} ${formatShape(shape)} takes ${count * size} bytes, the data has ${bytes.byteLength}`,
    );
  }
  if (datatype === 'BOOL') {
    const bad = bytes.findIndex((byte) => byte > 1);
    if (bad >= 0) throw new SkerryError('TENSOR_DATA', `${what}: BOOL element ${bad} is ${bytes[bad]}, it must be 0 or 1`);
  }
  return { datatype, shape, data: bytes };
}
