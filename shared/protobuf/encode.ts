import { SkerryError } from '#shared/kernel/errors.js';
import { WIRE } from './reader.js';
import { isDefault, SCALARS, type ScalarCodec } from './scalars.js';
import { type FieldTable, isMessageType, type MessageInit, type MessageType, type NamedField, type ScalarType } from './schema.js';
import { ProtobufWriter, sizeOfVarint } from './writer.js';

/** Writes a message into memory of its exact size, so that a large piece of bytes is copied once. */
export function encode<Fields extends FieldTable>(type: MessageType<Fields>, init: MessageInit<MessageType<Fields>>): Buffer {
  const size = messageSize(type, init);
  const writer = new ProtobufWriter(size);
  writeMessage(type, init, writer);
  return writer.buffer;
}

function messageSize(type: MessageType, value: unknown): number {
  const members = membersOf(type, value);
  let size = 0;
  for (const field of type.byNumber.values()) size += fieldSize(field, members[field.name]);
  return size;
}

function fieldSize(field: NamedField, value: unknown): number {
  if (value === undefined) return 0;
  const tag = sizeOfVarint(field.number * 8);
  if (isPacked(field)) {
    const length = packedSize(field, value);
    return length === 0 ? 0 : tag + sizeOfVarint(length) + length;
  }
  let size = 0;
  for (const item of itemsOf(field, value)) size += tag + itemSize(field, item);
  return size;
}

function itemSize(field: NamedField, item: unknown): number {
  if (field.label === 'map') return prefixed(entrySize(field, item));
  if (field.label !== 'opaque' && isMessageType(field.type)) return prefixed(messageSize(field.type, item));
  return codecOf(field).size(item);
}

function writeMessage(type: MessageType, value: unknown, writer: ProtobufWriter): void {
  const members = membersOf(type, value);
  for (const field of type.byNumber.values()) {
    const member = members[field.name];
    if (member !== undefined) writeField(field, member, writer);
  }
}

function writeField(field: NamedField, value: unknown, writer: ProtobufWriter): void {
  if (isPacked(field)) {
    const length = packedSize(field, value);
    if (length === 0) return;
    writer.varint(field.number * 8 + WIRE.bytes);
    writer.varint(length);
    const { write } = codecOf(field);
    for (const item of itemsOf(field, value)) write(writer, item);
    return;
  }
  const tag = field.number * 8 + wireOf(field);
  for (const item of itemsOf(field, value)) {
    writer.varint(tag);
    writeItem(field, item, writer);
  }
}

function writeItem(field: NamedField, item: unknown, writer: ProtobufWriter): void {
  if (field.label === 'map') {
    writer.varint(entrySize(field, item));
    for (const part of entryFields(field, item)) writeField(part.field, part.value, writer);
  } else if (field.label !== 'opaque' && isMessageType(field.type)) {
    writer.varint(messageSize(field.type, item));
    writeMessage(field.type, item, writer);
  } else codecOf(field).write(writer, item);
}

function entrySize(field: NamedField, item: unknown): number {
  return entryFields(field, item).reduce((sum, part) => sum + fieldSize(part.field, part.value), 0);
}

/** An entry of a map is a message with two fields that are always written. */
function entryFields(field: NamedField, item: unknown): readonly { readonly field: NamedField; readonly value: unknown }[] {
  const entry: readonly unknown[] = Array.isArray(item) ? item : [];
  const [key, value] = entry;
  const keyType = field.key ?? 'string';
  return [
    { field: { name: 'key', number: 1, type: keyType, label: 'choice' }, value: keyType === 'string' ? key : Number(key) },
    { field: { name: 'value', number: 2, type: field.type, label: 'choice' }, value },
  ];
}

/** The values of a field that are written one after the other. */
function itemsOf({ label, type }: NamedField, value: unknown): Iterable<unknown> {
  const list: readonly unknown[] | undefined = Array.isArray(value) ? value : undefined;
  if (label === 'many' && list !== undefined) return list;
  if (label === 'map' && value instanceof Map) return value.entries();
  return label === 'one' && !isMessageType(type) && isDefault(scalarOf(type), value) ? [] : [value];
}

/** Protocol Buffers, "Packed Repeated Fields": numbers of a repeated field share one tag. */
function isPacked(field: NamedField): boolean {
  return field.label === 'many' && !isMessageType(field.type) && codecOf(field).wire !== WIRE.bytes;
}

function packedSize(field: NamedField, value: unknown): number {
  const { size } = codecOf(field);
  let length = 0;
  for (const item of itemsOf(field, value)) length += size(item);
  return length;
}

function wireOf(field: NamedField): number {
  return field.label === 'map' || isMessageType(field.type) ? WIRE.bytes : codecOf(field).wire;
}

function codecOf({ type, label }: NamedField): ScalarCodec {
  return label === 'opaque' || isMessageType(type) ? SCALARS.bytes : SCALARS[scalarOf(type)];
}

function scalarOf(type: Exclude<NamedField['type'], MessageType>): ScalarType {
  return typeof type === 'string' ? type : 'int32';
}

function prefixed(length: number): number {
  return sizeOfVarint(length) + length;
}

function membersOf(type: MessageType, value: unknown): Readonly<Record<string, unknown>> {
  if (isMembers(value)) return value;
  throw new SkerryError('INTERNAL', `a value of type ${typeof value} stands where a ${type.name} is to be written`);
}

function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
