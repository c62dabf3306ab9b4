import { SkerryError } from '#shared/kernel/errors.js';
import { splitBytesElements } from '#shared/tensor/bytes-elements.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { type ElementArray, elementsOf, isFixedSize } from '#shared/tensor/elements.js';
import { floatForm } from '#shared/tensor/float-form.js';
import { elementCount } from '#shared/tensor/shape.js';
import type { Tensor } from '#shared/tensor/tensor.js';

/** What the elements of each datatype are in JavaScript. BOOL has bytes of 0 and 1; FP16 and BF16 are widened. */
export interface ValuesOf {
  readonly BOOL: Uint8Array;
  readonly UINT8: Uint8Array;
  readonly UINT16: Uint16Array;
  readonly UINT32: Uint32Array;
  readonly UINT64: BigUint64Array;
  readonly INT8: Int8Array;
  readonly INT16: Int16Array;
  readonly INT32: Int32Array;
  readonly INT64: BigInt64Array;
  readonly FP16: Float32Array;
  readonly FP32: Float32Array;
  readonly FP64: Float64Array;
  readonly BF16: Float32Array;
  readonly BYTES: readonly string[];
}

type Reader<T> = (tensor: Tensor, what: string) => T;

/** A reader of arrays of one type. */
function arrays<T extends ElementArray>(type: abstract new (length: number) => T): Reader<T> {
  return (tensor, what) => {
    const elements = isFixedSize(tensor) ? elementsOf(tensor) : undefined;
    if (elements instanceof type) return elements;
    throw new SkerryError('INTERNAL', `${what} has elements of another type than its datatype says`);
  };
}

const widened: Reader<Float32Array> = (tensor) => {
  const { read } = floatForm(tensor.datatype) ?? { read: Number };
  return isFixedSize(tensor) ? Float32Array.from<number | bigint>(elementsOf(tensor), (bits) => read(Number(bits))) : new Float32Array();
};

const READERS: { readonly [D in Datatype]: Reader<ValuesOf[D]> } = {
  BOOL: arrays(Uint8Array),
  UINT8: arrays(Uint8Array),
  UINT16: arrays(Uint16Array),
  UINT32: arrays(Uint32Array),
  UINT64: arrays(BigUint64Array),
  INT8: arrays(Int8Array),
  INT16: arrays(Int16Array),
  INT32: arrays(Int32Array),
  INT64: arrays(BigInt64Array),
  FP16: widened,
  FP32: arrays(Float32Array),
  FP64: arrays(Float64Array),
  BF16: widened,
  BYTES: ({ data, shape }, what) => {
    const decoder = new TextDecoder();
    return splitBytesElements(data, elementCount(shape, what), what).map((bytes) => decoder.decode(bytes));
  },
};

/** An output: the raw tensor, and its elements as typed arrays. Arrays are views of the answer's bytes where these are aligned. */
export class OutputTensor<D extends Datatype = Datatype> implements Tensor {
  readonly name: string;
  readonly datatype: D;
  readonly shape: readonly number[];
  readonly data: Uint8Array;

  constructor(name: string, { datatype, shape, data }: Tensor & { readonly datatype: D }) {
    this.name = name;
    this.datatype = datatype;
    this.shape = shape;
    this.data = data;
  }

  /** The elements. */
  get values(): ValuesOf[D] {
    return READERS[this.datatype](this, `output ${JSON.stringify(this.name)}`);
  }

  /** The elements of an output that must be of this datatype. Errors: `TENSOR_DATATYPE`. */
  as<E extends Datatype>(datatype: E): ValuesOf[E] {
    const own: Datatype = this.datatype;
    if (own !== datatype) {
      throw new SkerryError('TENSOR_DATATYPE', `output ${JSON.stringify(this.name)} has elements of ${this.datatype}, not of ${datatype}`);
    }
    return READERS[datatype](this, `output ${JSON.stringify(this.name)}`);
  }
}
