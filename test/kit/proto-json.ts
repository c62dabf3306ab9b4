import { isEnumType, isMessageType, type MessageType, type NamedField } from '#shared/protobuf/schema.js';
import { decode } from '#shared/protobuf/decode.js';

type Members = Readonly<Record<string, unknown>>;

/** A message in its JSON form as the record of exchanges writes it: fields with their default are left out, names are those of the .proto. */
export function toProtoJson(type: MessageType, message: Members): Members {
  const json: Record<string, unknown> = {};
  for (const field of type.byNumber.values()) {
    const value = fieldJson(field, message[field.name]);
    if (value !== undefined) json[field.name] = value;
  }
  return json;
}

function fieldJson(field: NamedField, value: unknown): unknown {
  if (value === undefined) return undefined;
  const list: readonly unknown[] | undefined = Array.isArray(value) ? value : undefined;
  if (field.label === 'many') return list === undefined || list.length === 0 ? undefined : list.map((item) => valueJson(field, item));
  if (field.label === 'map') {
    const entries = value instanceof Map ? [...value] : [];
    return entries.length === 0 ? undefined : Object.fromEntries(entries.map(([key, item]) => [String(key), valueJson(field, item)]));
  }
  const isDefault =
    value === 0 || value === '' || value === false || value === 0n || (value instanceof Uint8Array && value.byteLength === 0);
  return field.label === 'one' && isDefault ? undefined : valueJson(field, value);
}

function valueJson({ type, label }: NamedField, value: unknown): unknown {
  if (isMessageType(type)) {
    if (label === 'opaque') return value instanceof Uint8Array ? toProtoJson(type, decode(type, value)) : undefined;
    return isMembers(value) ? toProtoJson(type, value) : undefined;
  }
  if (isEnumType(type)) return Object.keys(type.values).find((name) => type.values[name] === value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return ['int64', 'uint64', 'long', 'ulong'].includes(type) ? String(value) : value;
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null;
}
