import type { ProtoFile } from '#shared/protobuf/descriptor.js';
import { message, one } from '#shared/protobuf/schema.js';

export const INT64_VALUE = message('google.protobuf.Int64Value', { value: one('long', 1) });
export const ANY = message('google.protobuf.Any', { type_url: one('string', 1), value: one('bytes', 2) });
export const WRAPPERS_PROTO: ProtoFile = {
  name: 'google/protobuf/wrappers.proto',
  package: 'google.protobuf',
  imports: [],
  messages: [INT64_VALUE],
  enums: [],
  services: [],
};
export const ANY_PROTO: ProtoFile = { ...WRAPPERS_PROTO, name: 'google/protobuf/any.proto', messages: [ANY] };
