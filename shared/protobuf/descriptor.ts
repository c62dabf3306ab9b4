import { encode } from './encode.js';
import {
  type EnumType,
  isEnumType,
  isMessageType,
  many,
  message,
  type MessageInit,
  type MessageType,
  type NamedField,
  one,
  type ScalarType,
  type ServiceType,
} from './schema.js';

// The part of google/protobuf/descriptor.proto that reflection needs.

const FIELD = message('google.protobuf.FieldDescriptorProto', {
  name: one('string', 1),
  number: one('int32', 3),
  label: one('int32', 4),
  type: one('int32', 5),
  type_name: one('string', 6),
  oneof_index: { number: 9, type: 'int32', label: 'choice' },
  json_name: one('string', 10),
});
const ONEOF = message('google.protobuf.OneofDescriptorProto', { name: one('string', 1) });
const ENUM_VALUE = message('google.protobuf.EnumValueDescriptorProto', {
  name: one('string', 1),
  // Zero is written as well: the file is of proto2, where a number that is left out is none.
  number: { number: 2, type: 'int32', label: 'choice' },
});
const ENUM = message('google.protobuf.EnumDescriptorProto', { name: one('string', 1), value: many(ENUM_VALUE, 2) });
const OPTIONS = message('google.protobuf.MessageOptions', { map_entry: one('bool', 7) });
const PARTS = {
  name: one('string', 1),
  field: many(FIELD, 2),
  enum_type: many(ENUM, 4),
  options: one(OPTIONS, 7),
  oneof_decl: many(ONEOF, 8),
} as const;
// Messages are declared in each other four deep at most, entries of maps among them; a table that names itself would have no type.
const ENTRY = message('google.protobuf.DescriptorProto', PARTS);
const INNERMOST = message('google.protobuf.DescriptorProto', { ...PARTS, nested_type: many(ENTRY, 3) });
const INNER = message('google.protobuf.DescriptorProto', { ...PARTS, nested_type: many(INNERMOST, 3) });
const OUTER = message('google.protobuf.DescriptorProto', { ...PARTS, nested_type: many(INNER, 3) });
const DESCRIPTOR = message('google.protobuf.DescriptorProto', { ...PARTS, nested_type: many(OUTER, 3) });
const METHOD = message('google.protobuf.MethodDescriptorProto', {
  name: one('string', 1),
  input_type: one('string', 2),
  output_type: one('string', 3),
  client_streaming: one('bool', 5),
  server_streaming: one('bool', 6),
});
const SERVICE = message('google.protobuf.ServiceDescriptorProto', { name: one('string', 1), method: many(METHOD, 2) });
const FILE = message('google.protobuf.FileDescriptorProto', {
  name: one('string', 1),
  package: one('string', 2),
  dependency: many('string', 3),
  message_type: many(DESCRIPTOR, 4),
  enum_type: many(ENUM, 5),
  service: many(SERVICE, 6),
  syntax: one('string', 12),
});

/** What one .proto file would declare. */
export interface ProtoFile {
  /** As importers name it, such as `grpc_service.proto`. */
  readonly name: string;
  readonly package: string;
  readonly imports: readonly ProtoFile[];
  readonly messages: readonly MessageType[];
  readonly enums: readonly EnumType[];
  readonly services: readonly ServiceType[];
}

/** Full names of what a file declares. */
export function symbolsOf({ messages, enums, services }: ProtoFile): readonly string[] {
  const methods = services.flatMap(({ name, rpcs }) => Object.keys(rpcs).map((method) => `${name}.${method}`));
  return [...messages, ...enums, ...services].map(({ name }) => name).concat(methods);
}

/** The file as a serialized FileDescriptorProto. */
export function fileDescriptor(file: ProtoFile): Buffer {
  return encode(FILE, {
    name: file.name,
    package: file.package,
    dependency: file.imports.map(({ name }) => name),
    message_type: nestedOf(file, file.package),
    enum_type: file.enums.filter(({ name }) => parentOf(name) === file.package).map(describeEnum),
    service: file.services.map(describeService),
    syntax: 'proto3',
  });
}

/** Messages that are declared in a package, or in a message. */
function nestedOf(file: ProtoFile, parent: string): readonly MessageInit<typeof DESCRIPTOR>[] {
  return file.messages.filter(({ name }) => parentOf(name) === parent).map((type) => describeMessage(file, type));
}

function describeMessage(file: ProtoFile, type: MessageType): MessageInit<typeof DESCRIPTOR> {
  const fields = [...type.byNumber.values()];
  const oneofs = [...new Set(fields.flatMap(({ oneof }) => oneof ?? []))];
  return {
    name: simpleName(type.name),
    field: fields.map((field) => describeField(type, field, oneofs)),
    nested_type: [
      ...fields.filter(({ label }) => label === 'map').map((field) => describeEntry(type, field)),
      ...nestedOf(file, type.name),
    ],
    enum_type: file.enums.filter(({ name }) => parentOf(name) === type.name).map(describeEnum),
    oneof_decl: oneofs.map((name) => ({ name })),
  };
}

const LABEL = { optional: 1, repeated: 3 } as const;
const TYPES: Readonly<Record<ScalarType, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  long: 3,
  uint64: 4,
  ulong: 4,
  int32: 5,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
};
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;

function describeField(type: MessageType, field: NamedField, oneofs: readonly string[]): MessageInit<typeof FIELD> {
  const repeated = field.label === 'many' || field.label === 'map';
  return {
    name: field.name,
    number: field.number,
    label: repeated ? LABEL.repeated : LABEL.optional,
    ...(field.label === 'map' ? { type: TYPE_MESSAGE, type_name: `.${type.name}.${entryName(field)}` } : typeOf(field)),
    oneof_index: field.oneof === undefined ? undefined : oneofs.indexOf(field.oneof),
    json_name: jsonName(field.name),
  };
}

function typeOf({ type }: Pick<NamedField, 'type'>): MessageInit<typeof FIELD> {
  if (isMessageType(type)) return { type: TYPE_MESSAGE, type_name: `.${type.name}` };
  if (isEnumType(type)) return { type: TYPE_ENUM, type_name: `.${type.name}` };
  return { type: TYPES[type] };
}

/** A map is a repeated message that the compiler declares in the message of the map. */
function describeEntry(type: MessageType, field: NamedField): MessageInit<typeof DESCRIPTOR> {
  const key: NamedField = { name: 'key', number: 1, type: field.key ?? 'string', label: 'one' };
  const value: NamedField = { name: 'value', number: 2, type: field.type, label: 'one' };
  return {
    name: entryName(field),
    field: [describeField(type, key, []), describeField(type, value, [])],
    options: { map_entry: true },
  };
}

function describeEnum({ name, values }: EnumType): MessageInit<typeof ENUM> {
  return { name: simpleName(name), value: Object.entries(values).map(([value, number]) => ({ name: value, number })) };
}

function describeService({ name, rpcs }: ServiceType): MessageInit<typeof SERVICE> {
  return {
    name: simpleName(name),
    method: Object.entries(rpcs).map(([method, { request, answer, streaming }]) => ({
      name: method,
      input_type: `.${request.name}`,
      output_type: `.${answer.name}`,
      client_streaming: streaming === 'both',
      server_streaming: streaming !== 'none',
    })),
  };
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.')));
}

function simpleName(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** As protoc names it: `input_map` makes `InputMapEntry`. */
function entryName({ name }: NamedField): string {
  return `${name.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())}Entry`;
}

function jsonName(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
