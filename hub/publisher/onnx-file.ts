import { readOpset, readValue } from '#shared/onnx/graph-layout.js';
import { elementTypeName, type OnnxType } from '#shared/onnx/onnx-types.js';
import { ProtobufCursor, type Tag, UnreadableProtobuf, WIRE } from '#shared/onnx/protobuf-cursor.js';

/** What the file itself says about a model. The runtime decides what a model is: a field that is missing here is missing there. */
export interface OnnxFile {
  readonly sizeBytes: number;
  readonly irVersion: number;
  /** Version of the default operator set; left out when the model imports none. */
  readonly opset?: number;
  /** All operator sets the model imports, by domain ("" is the default one). */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: { readonly name: string; readonly version: string };
  /** What the exporter noted, such as labels, in the file's order. */
  readonly metadata: readonly { readonly key: string; readonly value: string }[];
  /** Which operators the model uses and how often, in subgraphs and functions too; by domain and name. */
  readonly operators: readonly OperatorUse[];
  /** Elements of all weights by their ONNX element type. */
  readonly weights: Readonly<Record<string, number>>;
  readonly inputs: readonly FileValue[];
  readonly outputs: readonly FileValue[];
  /** Names of other files that weights lie in. */
  readonly externalFiles: readonly string[];
  /** Where and why reading ended early; what stands before it was read. */
  readonly unreadable?: { readonly reason: string; readonly at: number; readonly ended: boolean };
}

interface OperatorUse {
  /** "ai.onnx" is the default domain. */
  readonly domain: string;
  readonly name: string;
  readonly count: number;
}

/** An input or output as the graph lists it. */
export interface FileValue {
  readonly name: string;
  readonly type: OnnxType;
}

const NAME_BYTES = 64 * 1024;
const METADATA_BYTES = 1024 * 1024;
const METADATA_ENTRIES = 1024;
const EXTERNAL_FILES = 16;
/** As protobuf's own parsers. */
const MAX_DEPTH = 100;
/** onnx.proto, TensorProto.DataLocation.EXTERNAL */
const EXTERNAL = 1;

type Message = 'model' | 'graph' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'function' | 'value' | 'entry' | 'opset' | 'external';

/** Fields of onnx.proto that are read into; everything else is skipped unread, weights above all. */
const CHILDREN: Readonly<Record<Message, Readonly<Record<number, Message>>>> = {
  model: { 7: 'graph', 8: 'opset', 14: 'entry', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 11: 'value', 12: 'value', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  function: { 7: 'node', 11: 'attribute' },
  tensor: { 13: 'external' },
  value: {},
  entry: {},
  opset: {},
  external: {},
};

/** Reads an ONNX file (onnx.proto, ModelProto) without holding its weights in memory. Never refuses one: `unreadable` says where it had to stop. */
export function readOnnxFile(path: string): OnnxFile {
  const cursor = new ProtobufCursor(path);
  const reader = new OnnxReader(cursor);
  try {
    reader.walk('model', cursor.size, 0);
    return reader.result();
  } catch (cause) {
    if (!(cause instanceof UnreadableProtobuf)) throw cause;
    return { ...reader.result(), unreadable: { reason: cause.message, at: cause.at, ended: cause.ended } };
  } finally {
    cursor.close();
  }
}

class OnnxReader {
  readonly #cursor: ProtobufCursor;
  readonly #opsets = new Map<string, number>();
  readonly #operators = new Map<string, { domain: string; name: string; count: number }>();
  readonly #weights = new Map<string, number>();
  readonly #metadata: { key: string; value: string }[] = [];
  readonly #inputs: FileValue[] = [];
  readonly #outputs: FileValue[] = [];
  readonly #externalFiles = new Set<string>();
  #irVersion = 0;
  #producer = { name: '', version: '' };

  constructor(cursor: ProtobufCursor) {
    this.#cursor = cursor;
  }

  /** Reads one message up to `end`. Only the graph of the model itself, at depth 1, lists the inputs and outputs of the model. */
  walk(message: Message, end: number, depth: number): void {
    const operator = { domain: '', name: '' };
    const tensor = { type: 0, elements: 1, external: false };
    while (this.#cursor.position < end) {
      const tag = this.#cursor.tag();
      const child = tag.wire === WIRE.bytes && depth < MAX_DEPTH ? CHILDREN[message][tag.field] : undefined;
      if (child !== undefined) this.#child(child, tag.field, this.#cursor.end(end), depth + 1);
      else if (message === 'model') this.#modelField(tag, end);
      else if (message === 'node') this.#nodeField(operator, tag, end);
      else if (message === 'tensor') this.#tensorField(tensor, tag, end);
      else this.#cursor.skip(tag, end);
    }
    if (this.#cursor.position !== end) throw new UnreadableProtobuf('a message runs past its end', this.#cursor.position);
    if (message === 'node' && operator.name !== '') this.#countOperator(operator);
    if (message === 'tensor') this.#countWeights(tensor);
  }

  #child(child: Message, field: number, end: number, depth: number): void {
    if (child === 'value') {
      if (depth === 2) (field === 11 ? this.#inputs : this.#outputs).push(readValue(this.#cursor, end));
      else this.#cursor.seek(end);
    } else if (child === 'opset') readOpset(this.#cursor, end, this.#opsets);
    else if (child === 'entry') {
      const entry = this.#entry(end);
      if (this.#metadata.length < METADATA_ENTRIES) this.#metadata.push(entry);
    } else if (child === 'external') {
      const { key, value } = this.#entry(end);
      if (key === 'location' && this.#externalFiles.size < EXTERNAL_FILES) this.#externalFiles.add(value);
    } else this.walk(child, end, depth);
  }

  #modelField(tag: Tag, end: number): void {
    if (tag.field === 1 && tag.wire === WIRE.varint) this.#irVersion = this.#cursor.varint();
    else if (tag.field === 2 && tag.wire === WIRE.bytes) this.#producer.name = this.#cursor.text(this.#cursor.end(end), NAME_BYTES);
    else if (tag.field === 3 && tag.wire === WIRE.bytes) this.#producer.version = this.#cursor.text(this.#cursor.end(end), NAME_BYTES);
    else this.#cursor.skip(tag, end);
  }

  /** onnx.proto, NodeProto */
  #nodeField(operator: { domain: string; name: string }, tag: Tag, end: number): void {
    if (tag.field === 4 && tag.wire === WIRE.bytes) operator.name = this.#cursor.text(this.#cursor.end(end), NAME_BYTES);
    else if (tag.field === 7 && tag.wire === WIRE.bytes) operator.domain = this.#cursor.text(this.#cursor.end(end), NAME_BYTES);
    else this.#cursor.skip(tag, end);
  }

  /** onnx.proto, TensorProto. Numbers in a list may be written one by one or packed. */
  #tensorField(tensor: { type: number; elements: number; external: boolean }, tag: Tag, end: number): void {
    if (tag.field === 1 && tag.wire === WIRE.varint) tensor.elements *= this.#cursor.varint();
    else if (tag.field === 1 && tag.wire === WIRE.bytes) {
      const packedEnd = this.#cursor.end(end);
      while (this.#cursor.position < packedEnd) tensor.elements *= this.#cursor.varint();
    } else if (tag.field === 2 && tag.wire === WIRE.varint) tensor.type = this.#cursor.varint();
    else if (tag.field === 14 && tag.wire === WIRE.varint) tensor.external = this.#cursor.varint() === EXTERNAL;
    else this.#cursor.skip(tag, end);
  }

  #countOperator({ domain, name }: { domain: string; name: string }): void {
    const shown = domain === '' ? 'ai.onnx' : domain;
    const use = this.#operators.get(`${shown}\n${name}`) ?? { domain: shown, name, count: 0 };
    use.count++;
    this.#operators.set(`${shown}\n${name}`, use);
  }

  #countWeights({ type, elements, external }: { type: number; elements: number; external: boolean }): void {
    const element = elementTypeName(type);
    this.#weights.set(element, (this.#weights.get(element) ?? 0) + elements);
    if (external && this.#externalFiles.size === 0) this.#externalFiles.add('');
  }

  /** onnx.proto, StringStringEntryProto */
  #entry(end: number): { key: string; value: string } {
    const entry = { key: '', value: '' };
    while (this.#cursor.position < end) {
      const tag = this.#cursor.tag();
      if (tag.field === 1 && tag.wire === WIRE.bytes) entry.key = this.#cursor.text(this.#cursor.end(end), NAME_BYTES);
      else if (tag.field === 2 && tag.wire === WIRE.bytes) entry.value = this.#cursor.text(this.#cursor.end(end), METADATA_BYTES);
      else this.#cursor.skip(tag, end);
    }
    return entry;
  }

  result(): OnnxFile {
    const opset = this.#opsets.get('');
    return {
      sizeBytes: this.#cursor.size,
      irVersion: this.#irVersion,
      ...(opset === undefined ? {} : { opset }),
      opsets: Object.fromEntries(this.#opsets),
      producer: { ...this.#producer },
      metadata: this.#metadata,
      operators: [...this.#operators.values()].toSorted((a, b) => order(a.domain, b.domain) || order(a.name, b.name)),
      weights: Object.fromEntries(this.#weights),
      inputs: this.#inputs,
      outputs: this.#outputs,
      externalFiles: [...this.#externalFiles],
    };
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
