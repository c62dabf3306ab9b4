import { type OnnxType, readOnnxType } from './onnx-types.js';
import { type ProtobufCursor, WIRE } from './protobuf-cursor.js';

/** Bytes of a model file, from the first to before `to`. */
export interface Place {
  readonly from: number;
  readonly to: number;
}

/** An input or output as the graph lists it, and where. */
export interface PlacedValue {
  readonly name: string;
  readonly type: OnnxType;
  readonly at: Place;
}

/** Where the parts of a model file are (onnx.proto, ModelProto and GraphProto). */
export interface GraphLayout {
  /** The whole field of the graph, and its content. */
  readonly field: Place;
  readonly content: Place;
  readonly inputs: readonly PlacedValue[];
  readonly outputs: readonly PlacedValue[];
  /** Versions of the operators that the model imports, by domain; the default one is ''. */
  readonly opsets: ReadonlyMap<string, number>;
}

const NAME_BYTES = 64 * 1024;
/** Class labels of a model; one with more has none. */
const MAX_LABELS = 100_000;

/**
 * Finds the graph of a model with its inputs and outputs; everything else is skipped unread. `undefined` where there is not exactly
 * one graph. Throws `UnreadableProtobuf`.
 */
export function readLayout(cursor: ProtobufCursor): GraphLayout | undefined {
  const opsets = new Map<string, number>();
  const graphs: { readonly field: Place; readonly content: Place }[] = [];
  cursor.seek(0);
  while (cursor.position < cursor.size) {
    const from = cursor.position;
    const tag = cursor.tag();
    if (tag.field === 7 && tag.wire === WIRE.bytes) {
      const to = cursor.end(cursor.size);
      graphs.push({ field: { from, to }, content: { from: cursor.position, to } });
      cursor.seek(to);
    } else if (tag.field === 8 && tag.wire === WIRE.bytes) readOpset(cursor, cursor.end(cursor.size), opsets);
    else cursor.skip(tag, cursor.size);
  }
  const [graph, ...others] = graphs;
  if (graph === undefined || others.length > 0) return undefined;
  return { ...graph, ...readValues(cursor, graph.content), opsets };
}

function readValues(cursor: ProtobufCursor, { from, to }: Place): Pick<GraphLayout, 'inputs' | 'outputs'> {
  const inputs: PlacedValue[] = [];
  const outputs: PlacedValue[] = [];
  cursor.seek(from);
  while (cursor.position < to) {
    const start = cursor.position;
    const tag = cursor.tag();
    const list = tag.field === 11 ? inputs : tag.field === 12 ? outputs : undefined;
    if (list === undefined || tag.wire !== WIRE.bytes) cursor.skip(tag, to);
    else {
      const end = cursor.end(to);
      list.push({ ...readValue(cursor, end), at: { from: start, to: end } });
    }
  }
  return { inputs, outputs };
}

/** onnx.proto, ValueInfoProto. Ends at `end`. */
export function readValue(cursor: ProtobufCursor, end: number): { readonly name: string; readonly type: OnnxType } {
  let name = '';
  let type: OnnxType = { kind: 'unknown' };
  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag.field === 1 && tag.wire === WIRE.bytes) name = cursor.text(cursor.end(end), NAME_BYTES);
    else if (tag.field === 2 && tag.wire === WIRE.bytes) type = readOnnxType(cursor, cursor.end(end));
    else cursor.skip(tag, end);
  }
  return { name, type };
}

/** onnx.proto, OperatorSetIdProto. "ai.onnx" is another name of the default domain. */
export function readOpset(cursor: ProtobufCursor, end: number, opsets: Map<string, number>): void {
  let domain = '';
  let version = 0;
  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag.field === 1 && tag.wire === WIRE.bytes) domain = cursor.text(cursor.end(end), NAME_BYTES);
    else if (tag.field === 2 && tag.wire === WIRE.varint) version = cursor.varint();
    else cursor.skip(tag, end);
  }
  opsets.set(domain === 'ai.onnx' ? '' : domain, version);
}

/** An operator of the graph, and where. */
export interface Producer {
  readonly at: Place;
  readonly domain: string;
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface Wiring {
  /** By the name of a value. */
  readonly producers: ReadonlyMap<string, Producer>;
  /** Which of the values other operators of the graph take. */
  readonly consumed: ReadonlySet<string>;
}

/** Finds the operators that give or take some values. Subgraphs are not looked into. */
export function readWiring(cursor: ProtobufCursor, { from, to }: Place, values: ReadonlySet<string>): Wiring {
  const producers = new Map<string, Producer>();
  const consumed = new Set<string>();
  cursor.seek(from);
  while (cursor.position < to) {
    const start = cursor.position;
    const tag = cursor.tag();
    if (tag.field !== 1 || tag.wire !== WIRE.bytes) {
      cursor.skip(tag, to);
      continue;
    }
    const end = cursor.end(to);
    const node = readNode(cursor, end);
    for (const name of node.inputs) if (values.has(name)) consumed.add(name);
    for (const name of node.outputs) if (values.has(name)) producers.set(name, { ...node, at: { from: start, to: end } });
  }
  return { producers, consumed };
}

/** onnx.proto, NodeProto, without its attributes, which may be as large as weights. Ends at `end`. */
function readNode(cursor: ProtobufCursor, end: number): Omit<Producer, 'at'> {
  const inputs: string[] = [];
  const outputs: string[] = [];
  let operator = '';
  let domain = '';
  while (cursor.position < end) {
    const tag = cursor.tag();
    const text = (): string => cursor.text(cursor.end(end), NAME_BYTES);
    if (tag.wire !== WIRE.bytes) cursor.skip(tag, end);
    else if (tag.field === 1) inputs.push(text());
    else if (tag.field === 2) outputs.push(text());
    else if (tag.field === 4) operator = text();
    else if (tag.field === 7) domain = text();
    else cursor.skip(tag, end);
  }
  return { domain, operator, inputs, outputs };
}

/** The first of some attributes of an operator that is a list of strings or of whole numbers, as text; one longer than `MAX_LABELS` is none. */
export function readLabels(cursor: ProtobufCursor, { from, to }: Place, names: ReadonlySet<string>): readonly string[] | undefined {
  cursor.seek(from);
  cursor.tag();
  cursor.end(to);
  while (cursor.position < to) {
    const tag = cursor.tag();
    if (tag.field !== 5 || tag.wire !== WIRE.bytes) cursor.skip(tag, to);
    else {
      const entries = readList(cursor, cursor.end(to), names);
      if (entries.length > 0 && entries.length <= MAX_LABELS) return entries;
    }
  }
  return undefined;
}

/** onnx.proto, AttributeProto, whose name comes first. Numbers in a list may be written one by one or packed. */
function readList(cursor: ProtobufCursor, end: number, names: ReadonlySet<string>): readonly string[] {
  const entries: string[] = [];
  const keep = (entry: string): void => {
    if (entries.length <= MAX_LABELS) entries.push(entry);
  };
  const integer = (): void => keep(BigInt.asIntN(64, cursor.integer()).toString());
  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag.field === 1 && tag.wire === WIRE.bytes) {
      // Other lists of the operator may be as large as weights.
      if (!names.has(cursor.text(cursor.end(end), NAME_BYTES))) cursor.seek(end);
    } else if (tag.field === 9 && tag.wire === WIRE.bytes) keep(cursor.text(cursor.end(end), NAME_BYTES));
    else if (tag.field === 8 && tag.wire === WIRE.varint) integer();
    else if (tag.field === 8 && tag.wire === WIRE.bytes) {
      const packedEnd = cursor.end(end);
      while (cursor.position < packedEnd) integer();
    } else cursor.skip(tag, end);
  }
  return entries;
}

/** Names of the weights. Inputs of these names are defaults that callers need not give, and the runtime does not ask for. */
export function readWeightNames(cursor: ProtobufCursor, { from, to }: Place): ReadonlySet<string> {
  const names = new Set<string>();
  cursor.seek(from);
  while (cursor.position < to) {
    const tag = cursor.tag();
    if (tag.field !== 5 || tag.wire !== WIRE.bytes) {
      cursor.skip(tag, to);
      continue;
    }
    const end = cursor.end(to);
    while (cursor.position < end) {
      const inner = cursor.tag();
      if (inner.field === 8 && inner.wire === WIRE.bytes) names.add(cursor.text(cursor.end(end), NAME_BYTES));
      else cursor.skip(inner, end);
    }
  }
  return names;
}
