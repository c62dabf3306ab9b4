import { type ProtobufCursor, WIRE } from './protobuf-cursor.js';

/** Names of element types (onnx.proto, TensorProto.DataType), as ONNX writes them. */
const ELEMENT_TYPES: readonly string[] = [
  'undefined',
  'float',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'double',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
];

/** A dimension: its size, the name of one that varies, or '' for one without either. */
export type Dimension = number | string;

/** The type of an input or output as the file declares it (onnx.proto, TypeProto). */
export type OnnxType =
  /** Without a `shape` its number of dimensions is not known, which is something else than a scalar, whose shape is `[]`. */
  | { readonly kind: 'tensor' | 'sparse'; readonly element: string; readonly shape: readonly Dimension[] | undefined }
  | { readonly kind: 'sequence' | 'optional'; readonly of: OnnxType }
  | { readonly kind: 'map'; readonly key: string; readonly of: OnnxType }
  | { readonly kind: 'opaque' | 'unknown' };

const UNKNOWN: OnnxType = { kind: 'unknown' };
const NAME_BYTES = 1024;
/** Types nest in each other as deep as a file likes; nothing real goes beyond three. */
const MAX_DEPTH = 16;

export function elementTypeName(number: number): string {
  return ELEMENT_TYPES[number] ?? `element type ${number}`;
}

/** The number of an element type in the file format. */
export function elementTypeNumber(name: string): number {
  return ELEMENT_TYPES.indexOf(name);
}

/** A type in words: `sequence(map(int64,float))`; of a tensor the element type alone, since its shape stands beside it. */
export function formatOnnxType(type: OnnxType): string {
  switch (type.kind) {
    case 'tensor':
      return type.element;
    case 'sparse':
      return `sparse(${type.element})`;
    case 'map':
      return `map(${type.key},${formatOnnxType(type.of)})`;
    case 'sequence':
    case 'optional':
      // A tensor of known element type is told from the bare value of a map.
      return `${type.kind}(${type.of.kind === 'tensor' ? `tensor(${type.of.element})` : formatOnnxType(type.of)})`;
    case 'opaque':
    case 'unknown':
      break;
  }
  return type.kind;
}

/** onnx.proto, TypeProto. Ends at `end`. */
export function readOnnxType(cursor: ProtobufCursor, end: number, depth = 0): OnnxType {
  let type: OnnxType = UNKNOWN;
  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag.wire !== WIRE.bytes || depth > MAX_DEPTH) {
      cursor.skip(tag, end);
      continue;
    }
    const inner = cursor.end(end);
    if (tag.field === 1 || tag.field === 8) type = readTensorType(cursor, inner, tag.field === 1 ? 'tensor' : 'sparse');
    else if (tag.field === 4 || tag.field === 9) {
      type = { kind: tag.field === 4 ? 'sequence' : 'optional', of: readElementType(cursor, inner, depth + 1) };
    } else if (tag.field === 5) type = readMapType(cursor, inner, depth + 1);
    else if (tag.field === 7) type = { kind: 'opaque' };
    cursor.seek(inner);
  }
  return type;
}

/** onnx.proto, TypeProto.Tensor and TypeProto.SparseTensor */
function readTensorType(cursor: ProtobufCursor, end: number, kind: 'tensor' | 'sparse'): OnnxType {
  let element = elementTypeName(0);
  let shape: readonly Dimension[] | undefined;
  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag.field === 1 && tag.wire === WIRE.varint) element = elementTypeName(cursor.varint());
    else if (tag.field === 2 && tag.wire === WIRE.bytes) shape = readShape(cursor, cursor.end(end));
    else cursor.skip(tag, end);
  }
  return { kind, element, shape };
}

/** onnx.proto, TensorShapeProto */
function readShape(cursor: ProtobufCursor, end: number): readonly Dimension[] {
  const dimensions: Dimension[] = [];
  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag.field === 1 && tag.wire === WIRE.bytes) dimensions.push(readDimension(cursor, cursor.end(end)));
    else cursor.skip(tag, end);
  }
  return dimensions;
}

function readDimension(cursor: ProtobufCursor, end: number): Dimension {
  let size: Dimension = '';
  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag.field === 1 && tag.wire === WIRE.varint) {
      const value = BigInt.asIntN(64, cursor.integer());
      size = value < 0n ? '' : Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
    } else if (tag.field === 2 && tag.wire === WIRE.bytes) size = cursor.text(cursor.end(end), NAME_BYTES);
    else cursor.skip(tag, end);
  }
  return size;
}

/** onnx.proto, TypeProto.Sequence and TypeProto.Optional */
function readElementType(cursor: ProtobufCursor, end: number, depth: number): OnnxType {
  let of: OnnxType = UNKNOWN;
  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag.field === 1 && tag.wire === WIRE.bytes) of = readOnnxType(cursor, cursor.end(end), depth);
    else cursor.skip(tag, end);
  }
  return of;
}

/** onnx.proto, TypeProto.Map */
function readMapType(cursor: ProtobufCursor, end: number, depth: number): OnnxType {
  let key = elementTypeName(0);
  let of: OnnxType = UNKNOWN;
  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag.field === 1 && tag.wire === WIRE.varint) key = elementTypeName(cursor.varint());
    else if (tag.field === 2 && tag.wire === WIRE.bytes) of = readOnnxType(cursor, cursor.end(end), depth);
    else cursor.skip(tag, end);
  }
  return { kind: 'map', key, of };
}
