import { SkerryError } from '#shared/kernel/errors.js';
import { atOnce } from '#shared/kernel/turns.js';
import { checkBytesElements, encodeBytesElements, nextBytesElement } from './bytes-elements.js';
import type { Datatype } from './datatype.js';
import { bytesOf, type ElementArray, elementsOf, isFixedSize } from './elements.js';
import { elementCount } from './shape.js';
import { checkStrings } from './strings.js';
import type { Tensor, TensorSpec } from './tensor.js';

/** Element types ONNX Runtime's JavaScript tensors can hold, and ours. BF16 has none there. */
const ORT_TYPE_NAMES = [
  'bool',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'int8',
  'int16',
  'int32',
  'int64',
  'float16',
  'float32',
  'float64',
  'string',
] as const;
type OrtType = (typeof ORT_TYPE_NAMES)[number];

const ORT_TYPES: Readonly<Record<OrtType, Datatype>> = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
};

/** Arguments of the ONNX Runtime `Tensor` constructor. This room does not load the runtime. */
interface OrtTensorParts {
  readonly type: OrtType;
  readonly data: ElementArray | readonly string[];
  readonly dims: readonly number[];
}

/** Passed as FP32, which models are rewritten to take and give in its place (shared/onnx/rewriting.ts). */
const BFLOAT16 = 'bfloat16';

/** True for element types that models can be served with. */
export function isOrtType(type: string): boolean {
  return type === BFLOAT16 || ORT_TYPE_NAMES.some((name) => name === type);
}

/** Our name of a runtime element type; `TENSOR_UNSUPPORTED` for one we have no form for. */
export function datatypeOfOrt(type: string, what: string): Datatype {
  if (type === BFLOAT16) return 'BF16';
  const known = ORT_TYPE_NAMES.find((name) => name === type);
  if (known !== undefined) return ORT_TYPES[known];
  throw new SkerryError('TENSOR_UNSUPPORTED', `${what} has element type ${type}, which is not supported`);
}

/** A spec from the runtime's `inputMetadata` / `outputMetadata`; symbolic dimensions become -1. */
export function specFromOrt(metadata: {
  name: string;
  isTensor: boolean;
  type?: string;
  shape?: readonly (number | string)[];
  anyShape?: true;
}): TensorSpec {
  const what = `tensor ${JSON.stringify(metadata.name)}`;
  if (!metadata.isTensor || metadata.type === undefined || metadata.shape === undefined) {
    throw new SkerryError('TENSOR_UNSUPPORTED', `${what} is a sequence, map or optional, which is not supported`);
  }
  const datatype = datatypeOfOrt(metadata.type, what);
  if (metadata.anyShape === true) return { name: metadata.name, datatype, shape: [], anyShape: true };
  const shape = metadata.shape.map((size) => (typeof size === 'number' && size >= 0 ? size : -1));
  return { name: metadata.name, datatype, shape };
}

/** A tensor in the form the runtime takes (a view where aligned). BYTES elements that it cannot carry are refused with `TENSOR_STRING`. */
export function toOrt(tensor: Tensor, what: string): OrtTensorParts {
  const type = ORT_TYPE_NAMES.find((candidate) => ORT_TYPES[candidate] === tensor.datatype);
  if (type === undefined) throw new SkerryError('TENSOR_UNSUPPORTED', `${what} is ${tensor.datatype}, which the runtime cannot take`);
  if (isFixedSize(tensor)) return { type, data: elementsOf(tensor), dims: tensor.shape };
  atOnce(checkStrings(tensor, what));
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  atOnce(checkBytesElements(tensor.data, elementCount(tensor.shape, what), what));
  // One after the other: a view of every element beside its string would not fit the heap of a process that runs a model.
  const data: string[] = [];
  for (let element = nextBytesElement(tensor.data, 0); element !== undefined; element = nextBytesElement(tensor.data, element.end)) {
    data.push(decoder.decode(element.bytes));
  }
  return { type, data, dims: tensor.shape };
}

/** The `Tensor` class of ONNX Runtime, as far as it is used here. */
type OrtTensorClass<T extends object> = new (type: OrtType, data: OrtTensorParts['data'], dims: readonly number[]) => T;

/** Makes the runtime's own tensor of one of ours. */
export function makeOrtTensor<T extends object>(ortTensor: OrtTensorClass<T>, tensor: Tensor, what: string): T {
  const { type, data, dims } = toOrt(tensor, what);
  if (type !== 'float16') return new ortTensor(type, data, dims);
  // Where JavaScript has Float16Array (Node 23 and newer), the class keeps FP16 in one, and the runtime's binding, which does
  // not know it, reads a length of 0. The 16-bit patterns stay in a Uint16Array, which the binding takes in every release.
  return Object.defineProperty(new ortTensor('uint16', data, dims), 'type', { value: type });
}

/**
 * Outputs called as something that every object has, such as `constructor`. The runtime's binding takes them for asked for and
 * stumbles over what it finds, unless they are: they are always computed, and dropped by whoever did not want them.
 */
export function inheritedNames(outputs: readonly string[]): readonly string[] {
  return outputs.filter((name) => name in Object.prototype);
}

/** A tensor from one the runtime returned; the bytes are those of the runtime's array, not a copy. */
export function fromOrt(parts: { type: string; data: unknown; dims: readonly number[] }, what: string): Tensor {
  const datatype = datatypeOfOrt(parts.type, what);
  if (ArrayBuffer.isView(parts.data)) return { datatype, shape: parts.dims, data: bytesOf(parts.data) };
  if (Array.isArray(parts.data) && datatype === 'BYTES') {
    return { datatype, shape: parts.dims, data: encodeBytesElements(parts.data) };
  }
  throw new SkerryError('TENSOR_UNSUPPORTED', `${what} came from the runtime in a form that is not supported`);
}
