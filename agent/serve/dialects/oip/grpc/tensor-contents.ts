import { SkerryError } from '#shared/kernel/errors.js';
import { INFER_TENSOR_CONTENTS } from '#shared/protobuf/inference/grpc-service-proto.js';
import { ProtobufReader, WIRE } from '#shared/protobuf/reader.js';
import { type Datatype, elementSize } from '#shared/tensor/datatype.js';
import { elementCount } from '#shared/tensor/shape.js';
import type { Tensor } from '#shared/tensor/tensor.js';

/** How elements of a datatype come in typed contents. */
interface ElementForm {
  /** Field of InferTensorContents. */
  readonly field: number;
  readonly wire: number;
  readonly write: (reader: ProtobufReader, view: DataView, at: number) => void;
}

const { bool_contents, int_contents, int64_contents, uint_contents, uint64_contents, fp32_contents, fp64_contents, bytes_contents } =
  INFER_TENSOR_CONTENTS.fields;

/** Open Inference Protocol, "InferTensorContents": FP16 and BF16 have no field, and go as raw contents. */
const FORMS: Readonly<Record<Exclude<Datatype, 'BYTES' | 'FP16' | 'BF16'>, ElementForm>> = {
  BOOL: varint(bool_contents.number, (reader, view, at) => view.setUint8(at, reader.bool() ? 1 : 0)),
  UINT8: varint(uint_contents.number, (reader, view, at) => view.setUint8(at, within(reader.uint32(), 0, 0xff))),
  UINT16: varint(uint_contents.number, (reader, view, at) => view.setUint16(at, within(reader.uint32(), 0, 0xffff), true)),
  UINT32: varint(uint_contents.number, (reader, view, at) => view.setUint32(at, reader.uint32(), true)),
  UINT64: varint(uint64_contents.number, (reader, view, at) => view.setBigUint64(at, reader.uint64(), true)),
  INT8: varint(int_contents.number, (reader, view, at) => view.setInt8(at, within(reader.int32(), -0x80, 0x7f))),
  INT16: varint(int_contents.number, (reader, view, at) => view.setInt16(at, within(reader.int32(), -0x8000, 0x7fff), true)),
  INT32: varint(int_contents.number, (reader, view, at) => view.setInt32(at, reader.int32(), true)),
  INT64: varint(int64_contents.number, (reader, view, at) => view.setBigInt64(at, reader.int64(), true)),
  FP32: { field: fp32_contents.number, wire: WIRE.fixed32, write: (reader, view, at) => view.setFloat32(at, reader.float(), true) },
  FP64: { field: fp64_contents.number, wire: WIRE.fixed64, write: (reader, view, at) => view.setFloat64(at, reader.double(), true) },
};

const ELEMENTS_AT_ONCE = 10_000;

/** Fields gone over between two places where the work may be interrupted: pieces may be empty, and fields unknown. */
const FIELDS_AT_ONCE = 10_000;

/**
 * A tensor from the typed contents of a message (InferTensorContents as its bytes). It can be interrupted wherever it yields. Errors:
 * `SERVE_REQUEST` where another field than that of the datatype is set, `TENSOR_DATA` for another number of elements than the shape has or
 * a value out of range, `PROTOBUF_INVALID`.
 */
export function* tensorFromContents(
  datatype: Datatype,
  shape: readonly number[],
  contents: Uint8Array,
  what: string,
): Generator<void, Tensor> {
  const count = elementCount(shape, what);
  if (datatype === 'FP16' || datatype === 'BF16') {
    throw new SkerryError('SERVE_REQUEST', `${what}: typed contents have no field for ${datatype}, send raw_input_contents`);
  }
  if (datatype === 'BYTES') return { datatype, shape, data: yield* readTexts(contents, count, what) };
  return { datatype, shape, data: yield* readNumbers(datatype, contents, count, what) };
}

function* readNumbers(datatype: keyof typeof FORMS, contents: Uint8Array, count: number, what: string): Generator<void, Uint8Array> {
  const { field, wire, write } = FORMS[datatype];
  const size = elementSize(datatype) ?? 1;
  // An element takes a byte of the message at least, so a shape that claims more than was sent reserves nothing.
  if (count > contents.byteLength) throw wrongCount(what, count, `at most ${contents.byteLength}`);
  const data = new Uint8Array(count * size);
  const view = new DataView(data.buffer);
  let found = 0;
  for (const reader of valuesOf(contents, field, wire, what)) {
    if (reader === undefined) {
      yield;
      continue;
    }
    while (reader.hasMore) {
      if (found < count) write(reader, view, found * size);
      else throw wrongCount(what, count, 'more');
      found++;
      if (found % ELEMENTS_AT_ONCE === 0) yield;
    }
  }
  if (found !== count) throw wrongCount(what, count, String(found));
  return data;
}

/** BYTES elements, each behind its 4-byte length. */
function* readTexts(contents: Uint8Array, count: number, what: string): Generator<void, Uint8Array> {
  let [found, size] = [0, 0];
  for (const element of textsOf(contents, what)) {
    if (element === undefined) {
      yield;
      continue;
    }
    size += 4 + element.byteLength;
    found++;
  }
  if (found !== count) throw wrongCount(what, count, String(found));
  const data = new Uint8Array(size);
  const view = new DataView(data.buffer);
  let at = 0;
  for (const element of textsOf(contents, what)) {
    if (element === undefined) {
      yield;
      continue;
    }
    view.setUint32(at, element.byteLength, true);
    data.set(element, at + 4);
    at += 4 + element.byteLength;
  }
  return data;
}

/** The elements; undefined wherever the work may be interrupted. */
function* textsOf(contents: Uint8Array, what: string): Generator<Uint8Array | undefined, void> {
  const reader = new ProtobufReader(contents);
  for (let field = 1; reader.hasMore; field++) {
    if (field % FIELDS_AT_ONCE === 0) yield undefined;
    const tag = reader.tag();
    if (tag === bytes_contents.number * 8 + WIRE.bytes) yield reader.bytes();
    else skipUnknown(reader, tag, what, bytes_contents.number);
  }
}

/**
 * Where the values of a field stand: numbers share one piece of the message (packed), or each has its own; undefined wherever the work may be
 * interrupted.
 */
function* valuesOf(contents: Uint8Array, field: number, wire: number, what: string): Generator<ProtobufReader | undefined, void> {
  const reader = new ProtobufReader(contents);
  for (let count = 1; reader.hasMore; count++) {
    if (count % FIELDS_AT_ONCE === 0) yield undefined;
    const tag = reader.tag();
    if (tag === field * 8 + WIRE.bytes) yield new ProtobufReader(reader.bytes());
    else if (tag === field * 8 + wire) yield new ProtobufReader(reader.value(tag));
    else skipUnknown(reader, tag, what, field);
  }
}

/** Fields that the message does not have are passed over; those of other datatypes are a mistake. */
function skipUnknown(reader: ProtobufReader, tag: number, what: string, expected: number): void {
  const named = INFER_TENSOR_CONTENTS.byNumber.get(tag >>> 3);
  if (named === undefined || named.number === expected) return reader.skip(tag);
  const right = INFER_TENSOR_CONTENTS.byNumber.get(expected)?.name;
  throw new SkerryError('SERVE_REQUEST', `unexpected explicit tensor data for ${what}: ${named.name} is set, expected ${right}`);
}

function varint(field: number, write: ElementForm['write']): ElementForm {
  return { field, wire: WIRE.varint, write };
}

function within(value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw new SkerryError('TENSOR_DATA', `a value of the typed contents is ${value}, the datatype has ${least} to ${most}`);
}

function wrongCount(what: string, expected: number, found: string): SkerryError {
  return new SkerryError('TENSOR_DATA', `${what}: its shape asks for ${expected} elements, the typed contents have ${found}`);
}
