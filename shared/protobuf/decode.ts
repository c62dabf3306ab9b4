import { SkerryError } from '#shared/kernel/errors.js';
import { ProtobufReader, WIRE } from './reader.js';
import { SCALARS, type ScalarCodec } from './scalars.js';
import { type FieldTable, isMessageType, type MessageOf, type MessageType, type NamedField } from './schema.js';

/** Entries of repeated fields and maps in one message, with all messages in it. Each costs far more memory than the byte it may be on the wire. */
const MAX_ENTRIES = 64 * 1024;

/**
 * Fields in one message, with all messages in it, those passed over included: each takes some ten nanoseconds of the event loop, and a
 * message may have one in every two of its bytes. It is far above what entries with several fields each come to.
 */
const MAX_FIELDS = 512 * 1024;

/** Bytes of an opaque message that comes in several pieces. Joining copies what came before, and nobody who writes messages cuts large ones. */
const MAX_JOINED = 16 * 1024;

/** Messages in messages. */
const MAX_DEPTH = 32;

/**
 * Reads a message; fields that it does not have are passed over. Pieces of type `bytes` and opaque messages are views over `bytes`.
 * Errors: `PROTOBUF_INVALID`, `INPUT_TOO_LARGE` for more entries of repeated fields than are accepted.
 */
export function decode<Fields extends FieldTable>(type: MessageType<Fields>, bytes: Uint8Array): MessageOf<MessageType<Fields>> {
  const values = new MessageDecoder().message(type, bytes, 0);
  if (holdsAll(values, type.fields)) return values;
  throw new SkerryError('INTERNAL', `a message ${type.name} lacks a field after it was read`);
}

/** Every field of the table has its member: values have the types of their codecs. */
function holdsAll<Fields extends FieldTable>(values: object, fields: Fields): values is MessageOf<MessageType<Fields>> {
  return Object.keys(fields).every((name) => name in values);
}

type Values = Record<string, unknown>;

class MessageDecoder {
  #entries = 0;
  #fields = 0;

  /** `values`: what came before of the same message, with which it is merged. */
  message(type: MessageType, bytes: Uint8Array, depth: number, values = initialValues(type)): Values {
    if (depth > MAX_DEPTH) throw new SkerryError('PROTOBUF_INVALID', `the message has more than ${MAX_DEPTH} messages in each other`);
    const reader = new ProtobufReader(bytes);
    while (reader.hasMore) {
      this.#countField();
      const tag = reader.tag();
      const field = type.byNumber.get(tag >>> 3);
      if (field === undefined || !this.#read(values, field, tag & 7, reader, depth)) reader.skip(tag);
      else if (field.oneof !== undefined) clearOthers(values, type, field);
    }
    return values;
  }

  /** False where the wire type is not that of the field: parsers take such a field for an unknown one. */
  #read(values: Values, field: NamedField, wire: number, reader: ProtobufReader, depth: number): boolean {
    const { type, label, name } = field;
    if (label === 'map') return wire === WIRE.bytes && this.#mapEntry(values[name], field, reader.bytes(), depth);
    if (isMessageType(type)) return wire === WIRE.bytes && this.#embedded(values, field, type, reader.bytes(), depth);
    const codec = codecOf(type);
    if (label === 'many') return this.#repeated(values[name], codec, wire, reader);
    if (wire !== codec.wire) return false;
    values[name] = codec.read(reader);
    return true;
  }

  #repeated(list: unknown, codec: ScalarCodec, wire: number, reader: ProtobufReader): boolean {
    if (!Array.isArray(list)) return false;
    if (wire === codec.wire) {
      this.#count();
      list.push(codec.read(reader));
      return true;
    }
    if (wire !== WIRE.bytes) return false;
    const packed = new ProtobufReader(reader.bytes());
    while (packed.hasMore) {
      this.#count();
      list.push(codec.read(packed));
    }
    return true;
  }

  #embedded(values: Values, { name, label }: NamedField, type: MessageType, bytes: Uint8Array, depth: number): boolean {
    const before = values[name];
    if (label === 'opaque') {
      values[name] = before instanceof Uint8Array ? this.#joined(before, bytes) : bytes;
    } else if (Array.isArray(before)) {
      this.#count();
      before.push(this.message(type, bytes, depth + 1));
    } else {
      // Protocol Buffers, "Last One Wins": messages of one field are merged.
      values[name] = this.message(type, bytes, depth + 1, isValues(before) ? before : undefined);
    }
    return true;
  }

  /** As above; joining the bytes merges the messages. */
  #joined(before: Uint8Array, bytes: Uint8Array): Uint8Array {
    this.#count();
    if (before.byteLength === 0 || bytes.byteLength === 0) return before.byteLength === 0 ? bytes : before;
    const size = before.byteLength + bytes.byteLength;
    if (size > MAX_JOINED)
      throw new SkerryError('INPUT_TOO_LARGE', `a message in pieces has ${size} bytes; at most ${MAX_JOINED} are joined`);
    return Buffer.concat([before, bytes]);
  }

  #mapEntry(entries: unknown, { type, key: keyType = 'string' }: NamedField, bytes: Uint8Array, depth: number): boolean {
    if (!(entries instanceof Map)) return false;
    this.#count();
    const [keyCodec, valueCodec] = [codecOf(keyType), isMessageType(type) ? undefined : codecOf(type)];
    let key: unknown = keyCodec.initial;
    let value: unknown = valueCodec?.initial;
    const reader = new ProtobufReader(bytes);
    while (reader.hasMore) {
      this.#countField();
      const tag = reader.tag();
      if (tag === 8 + keyCodec.wire) key = keyCodec.read(reader);
      else if (tag === 16 + (valueCodec?.wire ?? WIRE.bytes)) {
        const before = isValues(value) ? value : undefined;
        value = isMessageType(type) ? this.message(type, reader.bytes(), depth + 1, before) : valueCodec?.read(reader);
      } else reader.skip(tag);
    }
    entries.set(String(key), value ?? (isMessageType(type) ? initialValues(type) : undefined));
    return true;
  }

  #count(): void {
    this.#entries++;
    if (this.#entries > MAX_ENTRIES) {
      throw new SkerryError('INPUT_TOO_LARGE', `the message has more than ${MAX_ENTRIES} entries of repeated fields`);
    }
  }

  #countField(): void {
    this.#fields++;
    if (this.#fields > MAX_FIELDS) throw new SkerryError('INPUT_TOO_LARGE', `the message has more than ${MAX_FIELDS} fields`);
  }
}

/** A message that was read; a scalar of type bytes is none. */
function isValues(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

function codecOf(type: NamedField['type']): ScalarCodec {
  // An enum is an int32 on the wire, and keeps numbers it has no name for.
  return typeof type === 'string' ? SCALARS[type] : SCALARS.int32;
}

function initialValues(type: MessageType): Values {
  const values: Values = {};
  for (const field of type.byNumber.values()) {
    if (field.label === 'many') values[field.name] = [];
    else if (field.label === 'map') values[field.name] = new Map<string, unknown>();
    else if (field.label === 'one' && !isMessageType(field.type)) values[field.name] = codecOf(field.type).initial;
    else values[field.name] = undefined;
  }
  return values;
}

/** Of the fields of a oneof the last one on the wire is set. */
function clearOthers(values: Values, type: MessageType, { oneof, name }: NamedField): void {
  for (const other of type.byNumber.values()) if (other.oneof === oneof && other.name !== name) values[other.name] = undefined;
}
