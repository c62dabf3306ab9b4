import { SkerryError } from '#shared/kernel/errors.js';
import { encode } from './encode.js';
import { type FieldTable, isEnumType, isMessageType, type MessageInit, type MessageType, type NamedField } from './schema.js';

/**
 * A message from its JSON form (Protocol Buffers, "JSON Mapping") with the field names of the .proto: enums by name, numbers of 64 bits as
 * numbers or as text, bytes as base64. Members that the message does not have are passed over, as null is. Errors: `PROTOBUF_INVALID`.
 */
export function fromJson<Fields extends FieldTable>(type: MessageType<Fields>, json: unknown): MessageInit<MessageType<Fields>> {
  const values = messageFrom(type, json);
  if (isInit(type, values)) return values;
  throw invalid(type.name, json);
}

function isInit<Fields extends FieldTable>({ fields }: MessageType<Fields>, values: object): values is MessageInit<MessageType<Fields>> {
  return Object.keys(values).every((name) => name in fields);
}

function messageFrom(type: MessageType, json: unknown): object {
  if (!isObject(json)) throw invalid(type.name, json);
  const values: Record<string, unknown> = {};
  for (const field of type.byNumber.values()) {
    const value = json[field.name];
    if (value !== undefined && value !== null) values[field.name] = fieldFrom(field, value);
  }
  return values;
}

function fieldFrom(field: NamedField, json: unknown): unknown {
  if (field.label === 'many') {
    if (!Array.isArray(json)) throw invalid(field.name, json);
    return json.map((item: unknown) => valueFrom(field, item));
  }
  if (field.label !== 'map') return valueFrom(field, json);
  if (!isObject(json)) throw invalid(field.name, json);
  return new Map(Object.entries(json).map(([key, value]) => [key, valueFrom(field, value)]));
}

function valueFrom({ name, type, label }: NamedField, json: unknown): unknown {
  if (isMessageType(type)) return label === 'opaque' ? encode(type, fromJson(type, json)) : messageFrom(type, json);
  if (isEnumType(type)) return enumFrom(type.values, name, json);
  switch (type) {
    case 'bool':
      if (typeof json === 'boolean') return json;
      break;
    case 'string':
      if (typeof json === 'string') return json;
      break;
    case 'bytes':
      if (typeof json === 'string') return Buffer.from(json, 'base64');
      break;
    case 'int64':
    case 'uint64':
      if ((typeof json === 'string' && /^-?\d{1,20}$/.test(json)) || Number.isSafeInteger(json)) return BigInt(String(json));
      break;
    case 'float':
    case 'double':
      return numberFrom(name, json);
    case 'int32':
    case 'uint32':
    case 'long':
    case 'ulong': {
      const value = numberFrom(name, json);
      if (Number.isInteger(value)) return value;
      break;
    }
    default:
      return type satisfies never;
  }
  throw invalid(name, json);
}

function numberFrom(name: string, json: unknown): number {
  const value = typeof json === 'string' && json !== '' ? Number(json) : json;
  // Number('NaN') and Number('Infinity') are what the JSON mapping means by these texts.
  if (typeof value === 'number' && (json === 'NaN' || !Number.isNaN(value))) return value;
  throw invalid(name, json);
}

function enumFrom(values: Readonly<Record<string, number>>, name: string, json: unknown): number {
  if (typeof json === 'number' && Number.isInteger(json)) return json;
  const value = typeof json === 'string' && Object.hasOwn(values, json) ? values[json] : undefined;
  if (value === undefined) throw invalid(name, json);
  return value;
}

function invalid(what: string, json: unknown): SkerryError {
  return new SkerryError('PROTOBUF_INVALID', `${what} cannot be ${JSON.stringify(json).slice(0, 64)}`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
