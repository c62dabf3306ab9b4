import { SkerryError } from '#shared/kernel/errors.js';
import { ProtobufCursor } from './protobuf-cursor.js';

/** What the file itself says about a model. */
export interface OnnxFile {
  readonly sizeBytes: number;
  readonly irVersion: number;
  /** Version of the default operator set. */
  readonly opset: number;
  /** All operator sets the model imports, by domain ("" is the default one). */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: { readonly name: string; readonly version: string };
}

const TEXT_BYTES = 1024;
const MAX_OPSETS = 64;
/** As protobuf's own parsers. */
const MAX_DEPTH = 100;

type Message = 'model' | 'graph' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'training' | 'function';

/** Which fields of onnx.proto lead to tensors; everything else is skipped unread, weights above all. */
const CHILDREN: Readonly<Record<Message, Readonly<Record<number, Message>>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
  tensor: {},
};

/** onnx.proto, TensorProto.data_location, DataLocation.EXTERNAL */
const DATA_LOCATION = 14;
const EXTERNAL = 1;

/**
 * Reads version, operator sets and producer of an ONNX file (onnx.proto, ModelProto) without holding it in memory.
 * `ONNX_INVALID` when it is none, `ONNX_EXTERNAL_DATA` when a tensor keeps its data in another file.
 */
export function readOnnxFile(path: string): OnnxFile {
  const cursor = new ProtobufCursor(path);
  try {
    const header = new HeaderReader(cursor, path);
    header.walk('model', cursor.size, 0);
    return header.result();
  } finally {
    cursor.close();
  }
}

class HeaderReader {
  readonly #cursor: ProtobufCursor;
  readonly #path: string;
  readonly #opsets = new Map<string, number>();
  #irVersion = 0;
  #producer = { name: '', version: '' };
  #graphs = 0;

  constructor(cursor: ProtobufCursor, path: string) {
    this.#cursor = cursor;
    this.#path = path;
  }

  walk(message: Message, end: number, depth: number): void {
    if (depth > MAX_DEPTH) throw this.#cursor.invalid('it nests too deep');
    while (this.#cursor.position < end) {
      const { field, wire } = this.#cursor.tag();
      const child = wire === 2 ? CHILDREN[message][field] : undefined;
      if (child !== undefined) {
        if (message === 'model' && child === 'graph') this.#graphs++;
        this.walk(child, this.#cursor.end(end), depth + 1);
      } else if (message === 'tensor' && field === DATA_LOCATION && wire === 0) {
        if (this.#cursor.varint() === EXTERNAL) {
          throw new SkerryError('ONNX_EXTERNAL_DATA', `${this.#path} keeps weights in another file (external data)`);
        }
      } else if (message !== 'model' || !this.#modelField(field, wire, end)) {
        this.#cursor.skip(wire, end);
      }
    }
    if (this.#cursor.position !== end) throw this.#cursor.invalid('a message runs past its end');
  }

  /** Reads a field of ModelProto that we show; false for any other. */
  #modelField(field: number, wire: number, end: number): boolean {
    if (field === 1 && wire === 0) this.#irVersion = this.#cursor.varint();
    else if (field === 2 && wire === 2) this.#producer.name = this.#cursor.text(this.#cursor.end(end), TEXT_BYTES);
    else if (field === 3 && wire === 2) this.#producer.version = this.#cursor.text(this.#cursor.end(end), TEXT_BYTES);
    else if (field === 8 && wire === 2) this.#opset(this.#cursor.end(end));
    else return false;
    return true;
  }

  /** onnx.proto, OperatorSetIdProto */
  #opset(end: number): void {
    let domain = '';
    let version = 0;
    while (this.#cursor.position < end) {
      const { field, wire } = this.#cursor.tag();
      if (field === 1 && wire === 2) domain = this.#cursor.text(this.#cursor.end(end), TEXT_BYTES);
      else if (field === 2 && wire === 0) version = this.#cursor.varint();
      else this.#cursor.skip(wire, end);
    }
    // "ai.onnx" is another name of the default domain.
    this.#opsets.set(domain === 'ai.onnx' ? '' : domain, version);
    if (this.#opsets.size > MAX_OPSETS) throw this.#cursor.invalid(`it imports more than ${MAX_OPSETS} operator sets`);
  }

  result(): OnnxFile {
    const opset = this.#opsets.get('');
    if (this.#irVersion < 1 || this.#graphs !== 1 || opset === undefined || opset < 1) {
      throw this.#cursor.invalid('it has no version, graph or operator set of an ONNX model');
    }
    return {
      sizeBytes: this.#cursor.size,
      irVersion: this.#irVersion,
      opset,
      opsets: Object.fromEntries(this.#opsets),
      producer: { ...this.#producer },
    };
  }
}
