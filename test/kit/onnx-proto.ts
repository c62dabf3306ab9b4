import { bytesField, concat, intField, varint } from '#shared/onnx/protobuf-writer.js';

// Messages of onnx.proto (github.com/onnx/onnx), by field number: as much as small models need.

/** TensorProto.DataType */
export const ONNX_TYPES = {
  FLOAT: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  STRING: 8,
  BOOL: 9,
  FLOAT16: 10,
  DOUBLE: 11,
  UINT32: 12,
  UINT64: 13,
  COMPLEX64: 14,
  BFLOAT16: 16,
  FLOAT8E4M3FN: 17,
  FLOAT8E4M3FNUZ: 18,
  FLOAT8E5M2: 19,
  FLOAT8E5M2FNUZ: 20,
  UINT4: 21,
  INT4: 22,
} as const;
export type OnnxType = (typeof ONNX_TYPES)[keyof typeof ONNX_TYPES];

/** A dimension: a size, or the name of one that varies. */
export type Dim = number | string;

export function valueInfo(name: string, type: OnnxType, shape: readonly Dim[]): Uint8Array {
  return valueOfType(name, tensorType(type, shape));
}

/** TypeProto of a tensor; without a shape its number of dimensions is unknown. */
export function tensorType(type: OnnxType, shape?: readonly Dim[]): Uint8Array {
  const dims = (shape ?? []).map((dim) => bytesField(1, typeof dim === 'number' ? intField(1, dim) : bytesField(2, dim)));
  return bytesField(1, concat(intField(1, type), ...(shape === undefined ? [] : [bytesField(2, concat(...dims))])));
}

/** TypeProto of a sequence, an optional value, or a map from one element type. */
export const typeOf = {
  sequence: (of: Uint8Array): Uint8Array => bytesField(4, bytesField(1, of)),
  optional: (of: Uint8Array): Uint8Array => bytesField(9, bytesField(1, of)),
  map: (key: OnnxType, value: Uint8Array): Uint8Array => bytesField(5, concat(intField(1, key), bytesField(2, value))),
};

/** ValueInfoProto of any type. */
export function valueOfType(name: string, type: Uint8Array): Uint8Array {
  return concat(bytesField(1, name), bytesField(2, type));
}

/** StringStringEntryProto, as in ModelProto.metadata_props (field 14). */
export function entry(key: string, value: string): Uint8Array {
  return concat(bytesField(1, key), bytesField(2, value));
}

/** Wire type 5, little-endian binary32. */
function floatField(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concat(varint(field * 8 + 5), bytes);
}

/** TensorProto without its data; `raw_data` (field 9) goes last. */
export function tensorHead(name: string, type: OnnxType, dims: readonly number[]): Uint8Array {
  return concat(...dims.map((dim) => intField(1, dim)), intField(2, type), bytesField(8, name));
}

export function tensor(name: string, type: OnnxType, dims: readonly number[], raw: Uint8Array): Uint8Array {
  return concat(tensorHead(name, type, dims), bytesField(9, raw));
}

export function floats(name: string, dims: readonly number[], values: ArrayLike<number>): Uint8Array {
  return tensor(name, ONNX_TYPES.FLOAT, dims, new Uint8Array(Float32Array.from(values).buffer));
}

export function int64s(name: string, dims: readonly number[], values: readonly (number | bigint)[]): Uint8Array {
  return tensor(name, ONNX_TYPES.INT64, dims, new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer));
}

export const attribute = {
  float: (name: string, value: number): Uint8Array => concat(bytesField(1, name), floatField(2, value), intField(20, 1)),
  int: (name: string, value: number): Uint8Array => concat(bytesField(1, name), intField(3, value), intField(20, 2)),
  tensor: (name: string, value: Uint8Array): Uint8Array => concat(bytesField(1, name), bytesField(5, value), intField(20, 4)),
  string: (name: string, value: string): Uint8Array => concat(bytesField(1, name), bytesField(4, value), intField(20, 3)),
  floats: (name: string, values: readonly number[]): Uint8Array =>
    concat(bytesField(1, name), ...values.map((value) => floatField(7, value)), intField(20, 6)),
  ints: (name: string, values: readonly number[]): Uint8Array =>
    concat(bytesField(1, name), ...values.map((value) => intField(8, value)), intField(20, 7)),
  graph: (name: string, value: Uint8Array): Uint8Array => concat(bytesField(1, name), bytesField(6, value), intField(20, 5)),
};

export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Uint8Array[] = [],
  domain = '',
): Uint8Array {
  return concat(
    ...inputs.map((name) => bytesField(1, name)),
    ...outputs.map((name) => bytesField(2, name)),
    bytesField(3, `${op}_${outputs[0] ?? ''}`),
    bytesField(4, op),
    ...attributes.map((value) => bytesField(5, value)),
    ...(domain === '' ? [] : [bytesField(7, domain)]),
  );
}

export interface GraphParts {
  readonly nodes: readonly Uint8Array[];
  readonly inputs: readonly Uint8Array[];
  readonly outputs: readonly Uint8Array[];
  readonly initializers?: readonly Uint8Array[];
}

export function graph(parts: GraphParts): Uint8Array {
  return concat(
    ...parts.nodes.map((value) => bytesField(1, value)),
    bytesField(2, 'graph'),
    ...parts.inputs.map((value) => bytesField(11, value)),
    ...parts.outputs.map((value) => bytesField(12, value)),
    ...(parts.initializers ?? []).map((value) => bytesField(5, value)),
  );
}

/** ModelProto up to its graph, which goes last (field 7). */
export interface ModelOptions {
  readonly opset?: number;
  /** Operator sets by domain, in place of the default one of version `opset`. */
  readonly opsets?: Readonly<Record<string, number>>;
  readonly irVersion?: number;
  readonly producer?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export function modelHead(options: ModelOptions = {}): Uint8Array {
  return concat(
    intField(1, options.irVersion ?? 8),
    bytesField(2, options.producer ?? 'skerry-test-kit'),
    bytesField(3, '1'),
    ...Object.entries(options.opsets ?? { '': options.opset ?? 17 }).map(([domain, version]) =>
      bytesField(8, concat(bytesField(1, domain), intField(2, version))),
    ),
    ...Object.entries(options.metadata ?? {}).map(([key, value]) => bytesField(14, entry(key, value))),
  );
}

export function model(parts: GraphParts, options: ModelOptions = {}): Uint8Array {
  return concat(modelHead(options), bytesField(7, graph(parts)));
}
