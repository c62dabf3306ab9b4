import type { ProtoFile } from '../descriptor.js';
import { choice, many, message, type MessageType, one, type Rpc, type ServiceType, streamingRpc } from '../schema.js';

// GRPC Server Reflection Protocol. Version 1 is version 1alpha under another name, field for field.

type Version = 'v1' | 'v1alpha';

function messagesOf(version: Version) {
  const name = (simple: string): string => `grpc.reflection.${version}.${simple}`;
  const extension = message(name('ExtensionRequest'), { containing_type: one('string', 1), extension_number: one('int32', 2) });
  const request = message(name('ServerReflectionRequest'), {
    host: one('string', 1),
    file_by_filename: choice('message_request', 'string', 3),
    file_containing_symbol: choice('message_request', 'string', 4),
    file_containing_extension: choice('message_request', extension, 5),
    all_extension_numbers_of_type: choice('message_request', 'string', 6),
    list_services: choice('message_request', 'string', 7),
  });
  const descriptors = message(name('FileDescriptorResponse'), { file_descriptor_proto: many('bytes', 1) });
  const extensions = message(name('ExtensionNumberResponse'), { base_type_name: one('string', 1), extension_number: many('int32', 2) });
  const named = message(name('ServiceResponse'), { name: one('string', 1) });
  const services = message(name('ListServiceResponse'), { service: many(named, 1) });
  const failure = message(name('ErrorResponse'), { error_code: one('int32', 1), error_message: one('string', 2) });
  const response = message(name('ServerReflectionResponse'), {
    valid_host: one('string', 1),
    original_request: one(request, 2),
    file_descriptor_response: choice('message_response', descriptors, 4),
    all_extension_numbers_response: choice('message_response', extensions, 5),
    list_services_response: choice('message_response', services, 6),
    error_response: choice('message_response', failure, 7),
  });
  return { request, response, all: [extension, request, descriptors, extensions, named, services, failure, response] };
}

type Messages = ReturnType<typeof messagesOf>;

/** A version of the reflection service, and what declares it. */
export interface ReflectionVersion {
  readonly rpc: Rpc<Messages['request'], Messages['response'], 'both'>;
  readonly service: ServiceType;
  readonly proto: ProtoFile;
}

/** Name of the one call. */
export const REFLECTION_CALL = 'ServerReflectionInfo';

function reflection(version: Version): ReflectionVersion {
  const { request, response, all } = messagesOf(version);
  const messages: readonly MessageType[] = all;
  const info = streamingRpc(request, response, 'both');
  const service = { name: `grpc.reflection.${version}.ServerReflection`, rpcs: { [REFLECTION_CALL]: info } };
  const proto = {
    name: `grpc/reflection/${version}/reflection.proto`,
    package: `grpc.reflection.${version}`,
    imports: [],
    messages,
    enums: [],
    services: [service],
  };
  return { rpc: info, service, proto };
}

export const REFLECTION: readonly ReflectionVersion[] = [reflection('v1'), reflection('v1alpha')];
