import { nextBytesElement } from './bytes-elements.js';
import type { Datatype } from './datatype.js';
import type { Tensor } from './tensor.js';

/** Typed arrays that hold the elements of a tensor; FP16 and BF16 appear as their 16-bit patterns, BOOL as 0 and 1. */
export type ElementArray =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

type Fixed = Exclude<Datatype, 'BYTES'>;

interface ElementArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): ElementArray;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): ElementArray;
}

const CONSTRUCTORS: Readonly<Record<Fixed, ElementArrayConstructor>> = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
  BF16: Uint16Array,
};

/** A zeroed array for `count` elements. */
export function newElements(datatype: Fixed, count: number): ElementArray {
  return new CONSTRUCTORS[datatype](count);
}

/** The elements of a tensor: a view where the bytes are aligned, a copy where not. Hosts are little-endian, as every platform of Node's tier 1 and 2 but s390x is. */
export function elementsOf(tensor: Tensor & { readonly datatype: Fixed }): ElementArray {
  const constructor = CONSTRUCTORS[tensor.datatype];
  const size = constructor.BYTES_PER_ELEMENT;
  // Not `slice`, which copies nothing where the bytes are a Buffer.
  const data = tensor.data.byteOffset % size === 0 ? tensor.data : new Uint8Array(tensor.data);
  return new constructor(data.buffer, data.byteOffset, data.byteLength / size);
}

/** The bytes under a typed array, without a copy. */
export function bytesOf(elements: ArrayBufferView): Uint8Array {
  return new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
}

/** True for every tensor whose elements have one size. */
export function isFixedSize(tensor: Tensor): tensor is Tensor & { readonly datatype: Fixed } {
  return tensor.datatype !== 'BYTES';
}

/** The first elements of a tensor, at most `count`, as a flat tensor over the same bytes. */
export function firstElements(tensor: Tensor, count: number): Tensor {
  const { datatype, data } = tensor;
  if (datatype !== 'BYTES') {
    const size = CONSTRUCTORS[datatype].BYTES_PER_ELEMENT;
    const found = Math.min(count, data.byteLength / size);
    return { datatype, shape: [found], data: data.subarray(0, found * size) };
  }
  let found = 0;
  let end = 0;
  for (let element = nextBytesElement(data, 0); element !== undefined && found < count; element = nextBytesElement(data, end)) {
    end = element.end;
    found++;
  }
  return { datatype, shape: [found], data: data.subarray(0, end) };
}
