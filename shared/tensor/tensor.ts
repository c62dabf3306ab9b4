import type { Datatype } from './datatype.js';

/**
 * A dense tensor, one form everywhere: row-major, little-endian bytes. `data.byteLength` is the product of `shape` times
 * the element size; a BYTES tensor holds its elements each behind a 4-byte little-endian length (OIP v2 binary extension).
 */
export interface Tensor {
  readonly datatype: Datatype;
  /** Concrete sizes, row-major; `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Tensors by the name the model gives them. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** A named input or output of a model; -1 in `shape` is a dimension that varies. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}
