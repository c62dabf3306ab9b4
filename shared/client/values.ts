import { SkerryError } from '#shared/kernel/errors.js';
import { fromBinary } from '#shared/tensor/binary.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { bytesOf, type ElementArray } from '#shared/tensor/elements.js';
import { floatForm } from '#shared/tensor/float-form.js';
import { fromJson } from '#shared/tensor/json.js';
import type { Tensor } from '#shared/tensor/tensor.js';

/** One element; numbers that JavaScript has no room for are bigints. */
type Element = number | bigint | boolean | string | Uint8Array;

/** Elements of an input, row-major. */
export type Elements = ElementArray | readonly Element[];

/**
 * An input: elements alone are one row of them; with a shape, or with a datatype where the elements do not tell (lists of numbers,
 * FP16, BF16). A Uint8Array with a datatype that is not of one byte is the tensor's raw bytes.
 */
export type Input =
  | Elements
  | { readonly datatype?: Datatype | undefined; readonly shape?: readonly number[] | undefined; readonly data: Elements };

/** Arrays whose type tells that of their elements. */
const ARRAYS: readonly (readonly [abstract new (length: number) => ElementArray, Datatype])[] = [
  [Float32Array, 'FP32'],
  [Float64Array, 'FP64'],
  [Uint8Array, 'UINT8'],
  [Uint16Array, 'UINT16'],
  [Uint32Array, 'UINT32'],
  [BigUint64Array, 'UINT64'],
  [Int8Array, 'INT8'],
  [Int16Array, 'INT16'],
  [Int32Array, 'INT32'],
  [BigInt64Array, 'INT64'],
];

/** Types whose elements may be given as those of another: bit patterns, and flags as bytes. */
const SAME_BYTES: Partial<Record<Datatype, Datatype>> = { FP16: 'UINT16', BF16: 'UINT16', BOOL: 'UINT8' };

/** An input as a tensor over the same bytes where that is possible. Errors: those of tensors, `TENSOR_DATATYPE` above all. */
export function tensorOf(name: string, input: Input): Tensor {
  const what = `input ${JSON.stringify(name)}`;
  const { data, ...said } = isElements(input) ? { data: input } : input;
  const given: Given = { what, datatype: undefined, shape: undefined, ...said };
  return isList(data) ? fromList(data, given) : fromArray(data, given);
}

interface Given {
  readonly what: string;
  readonly datatype: Datatype | undefined;
  readonly shape: readonly number[] | undefined;
}

function isElements(input: Input): input is Elements {
  return Array.isArray(input) || ArrayBuffer.isView(input);
}

function isList(data: Elements): data is readonly Element[] {
  return Array.isArray(data);
}

function fromArray(data: ElementArray, { what, ...given }: Given): Tensor {
  const own = ARRAYS.find(([type]) => data instanceof type)?.[1];
  const datatype = given.datatype ?? own;
  if (own === undefined || datatype === undefined) throw new SkerryError('TENSOR_DATATYPE', `${what}: this kind of array is not supported`);
  const shape = given.shape ?? [data.length];
  const form = floatForm(datatype);
  const isRaw = data instanceof Uint8Array && given.shape !== undefined;
  if (datatype === own || SAME_BYTES[datatype] === own || isRaw) return fromBinary(datatype, shape, bytesOf(data), what);
  if (form !== undefined && SAME_BYTES[datatype] === 'UINT16' && (own === 'FP32' || own === 'FP64')) {
    return fromBinary(datatype, shape, bytesOf(Uint16Array.from<number | bigint>(data, (value) => form.write(Number(value)))), what);
  }
  throw new SkerryError('TENSOR_DATATYPE', `${what}: ${data.constructor.name} has elements of ${own}, not of ${datatype}`);
}

function fromList(data: readonly Element[], { what, ...given }: Given): Tensor {
  const datatype = given.datatype ?? listType(data, what);
  const shape = given.shape ?? [data.length];
  if (!data.some((element) => element instanceof Uint8Array)) return fromJson(datatype, shape, data.map(plainFor(datatype)), what);
  if (datatype !== 'BYTES') throw new SkerryError('TENSOR_DATATYPE', `${what}: a list of byte strings has no elements of ${datatype}`);
  return fromBinary(datatype, shape, joinBytesElements(data.map(encoded)), what);
}

/** What `fromJson` takes: whole numbers of 64 bits have their digits as text. */
function plainFor(datatype: Datatype): (element: Element) => unknown {
  const isLong = datatype === 'INT64' || datatype === 'UINT64';
  return (element) => (typeof element === 'bigint' ? (isLong ? String(element) : Number(element)) : element);
}

function encoded(element: Element): Uint8Array {
  return element instanceof Uint8Array ? element : Buffer.from(String(element));
}

function listType([first]: readonly Element[], what: string): Datatype {
  if (typeof first === 'string' || first instanceof Uint8Array) return 'BYTES';
  if (typeof first === 'boolean') return 'BOOL';
  if (typeof first === 'bigint') return 'INT64';
  throw new SkerryError('TENSOR_DATATYPE', `${what}: a list of numbers needs a datatype, such as { datatype: 'FP32', data: [...] }`);
}
