import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { ProtobufReader } from '#shared/protobuf/reader.js';
import type { MessageInit, MessageOf } from '#shared/protobuf/schema.js';
import { readBinary } from '#shared/tensor/binary.js';
import { joinBytesElements, splitBytesElements } from '#shared/tensor/bytes-elements.js';
import { type Datatype, elementSize } from '#shared/tensor/datatype.js';
import { elementCount } from '#shared/tensor/shape.js';
import type { Tensor } from '#shared/tensor/tensor.js';
import { DATA_TYPE, type TENSOR } from './serving-proto.js';

type TensorMessage = MessageOf<typeof TENSOR>;
type NumberField = 'half_val' | 'float_val' | 'double_val' | 'int_val' | 'int64_val' | 'bool_val' | 'uint32_val' | 'uint64_val';

interface NumberForm {
  readonly dtype: string;
  readonly field: NumberField;
  /** Reads one value and writes it as an element. */
  readonly copy: (reader: ProtobufReader, view: DataView, at: number) => void;
}

/** tensor.proto: which field has the values of a type where they are not in `tensor_content`. Small integers share `int_val`. */
const FORMS: Readonly<Record<Exclude<Datatype, 'BYTES'>, NumberForm>> = {
  BOOL: { dtype: 'DT_BOOL', field: 'bool_val', copy: (reader, view, at) => view.setUint8(at, reader.bool() ? 1 : 0) },
  UINT8: { dtype: 'DT_UINT8', field: 'int_val', copy: (reader, view, at) => view.setUint8(at, within(reader.int32(), 0, 0xff)) },
  UINT16: { dtype: 'DT_UINT16', field: 'int_val', copy: (reader, view, at) => view.setUint16(at, within(reader.int32(), 0, 0xffff), true) },
  UINT32: { dtype: 'DT_UINT32', field: 'uint32_val', copy: (reader, view, at) => view.setUint32(at, reader.uint32(), true) },
  UINT64: { dtype: 'DT_UINT64', field: 'uint64_val', copy: (reader, view, at) => view.setBigUint64(at, reader.uint64(), true) },
  INT8: { dtype: 'DT_INT8', field: 'int_val', copy: (reader, view, at) => view.setInt8(at, within(reader.int32(), -0x80, 0x7f)) },
  INT16: {
    dtype: 'DT_INT16',
    field: 'int_val',
    copy: (reader, view, at) => view.setInt16(at, within(reader.int32(), -0x8000, 0x7fff), true),
  },
  INT32: { dtype: 'DT_INT32', field: 'int_val', copy: (reader, view, at) => view.setInt32(at, reader.int32(), true) },
  INT64: { dtype: 'DT_INT64', field: 'int64_val', copy: (reader, view, at) => view.setBigInt64(at, reader.int64(), true) },
  FP16: { dtype: 'DT_HALF', field: 'half_val', copy: (reader, view, at) => view.setUint16(at, within(reader.int32(), 0, 0xffff), true) },
  BF16: {
    dtype: 'DT_BFLOAT16',
    field: 'half_val',
    copy: (reader, view, at) => view.setUint16(at, within(reader.int32(), 0, 0xffff), true),
  },
  FP32: { dtype: 'DT_FLOAT', field: 'float_val', copy: (reader, view, at) => view.setFloat32(at, reader.float(), true) },
  FP64: { dtype: 'DT_DOUBLE', field: 'double_val', copy: (reader, view, at) => view.setFloat64(at, reader.double(), true) },
};

/** A value of a field that is wider than the type. */
function within(value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw new SkerryError('TENSOR_DATA', `a value of ${value} does not fit: ${least} to ${most} do`);
}

const ELEMENTS_AT_ONCE = 10_000;
const BYTES_AT_ONCE = 1024 * 1024;

/** Number of a datatype in types.proto. */
export function dtypeOf(datatype: Datatype): number {
  return DATA_TYPE.values[datatype === 'BYTES' ? 'DT_STRING' : FORMS[datatype].dtype] ?? 0;
}

const BY_DTYPE = new Map<number, Datatype>(
  (
    ['BYTES', 'BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64', 'FP16', 'BF16', 'FP32', 'FP64'] as const
  ).map((datatype) => [dtypeOf(datatype), datatype]),
);

/** A tensor from its message; `tensor_content` is not copied. It can be interrupted wherever it yields. Errors: `SERVE_REQUEST`, those of tensors. */
export function* readTensorProto(message: TensorMessage, what: string): Generator<void, Tensor> {
  const datatype = BY_DTYPE.get(message.dtype);
  if (datatype === undefined) throw new SkerryError('SERVE_REQUEST', `${what}: dtype ${message.dtype} is not supported`);
  const shape = (message.tensor_shape?.dim ?? []).map(({ size }) => size);
  const count = elementCount(shape, what);
  if (datatype === 'BYTES') {
    const { string_val: texts } = message;
    if (texts.length === count) return { datatype, shape, data: joinBytesElements(texts) };
    throw new SkerryError('TENSOR_DATA', `${what}: its shape asks for ${count} strings, string_val has ${texts.length}`);
  }
  if (message.tensor_content.byteLength > 0) return yield* readBinary(datatype, shape, message.tensor_content, what);
  return { datatype, shape, data: yield* readNumbers(datatype, message, count, what) };
}

function* readNumbers(
  datatype: Exclude<Datatype, 'BYTES'>,
  message: TensorMessage,
  count: number,
  what: string,
): Generator<void, Uint8Array> {
  const { field, copy } = FORMS[datatype];
  const size = elementSize(datatype) ?? 1;
  const pieces = message[field];
  const given = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  // A value takes a byte of the message at least, so a shape that claims more than was sent reserves nothing; one value may stand for all.
  if (count > given && given > 10) throw new SkerryError('TENSOR_DATA', `${what}: its shape asks for ${count} values, ${field} has fewer`);
  // Nor does such a value: a request takes no more memory than a body may.
  if (count * size > LIMITS.inferBodyBytes) {
    throw new SkerryError('INPUT_TOO_LARGE', `${what} has ${count * size} bytes; values may fill at most ${LIMITS.inferBodyBytes}`);
  }
  const data = new Uint8Array(count * size);
  const view = new DataView(data.buffer);
  let found = 0;
  for (const piece of pieces) {
    const reader = new ProtobufReader(piece);
    while (reader.hasMore) {
      if (found >= count) throw new SkerryError('TENSOR_DATA', `${what}: its shape asks for ${count} values, ${field} has more`);
      copy(reader, view, found * size);
      if (++found % ELEMENTS_AT_ONCE === 0) yield;
    }
  }
  // tensor.proto: a single value is that of all elements.
  if (found === 1) yield* repeatFirst(data, size);
  else if (found !== count) throw new SkerryError('TENSOR_DATA', `${what}: its shape asks for ${count} values, ${field} has ${found}`);
  return data;
}

/** Fills the rest with the first bytes, twice as many at a time. */
function* repeatFirst(data: Uint8Array, size: number): Generator<void, void> {
  for (let filled = size; filled < data.byteLength; ) {
    const more = Math.min(filled, data.byteLength - filled, BYTES_AT_ONCE);
    data.copyWithin(filled, 0, more);
    filled += more;
    yield;
  }
}

/** The message of a tensor. */
export function tensorProto({ datatype, shape, data }: Tensor, what: string): MessageInit<typeof TENSOR> {
  const head = { dtype: dtypeOf(datatype), tensor_shape: { dim: shape.map((size) => ({ size })) } };
  if (datatype !== 'BYTES') return { ...head, tensor_content: data };
  return { ...head, string_val: splitBytesElements(data, elementCount(shape, what), what) };
}
