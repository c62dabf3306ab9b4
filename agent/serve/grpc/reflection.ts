import { STATUSES } from '#shared/kernel/status.js';
import { fileDescriptor, type ProtoFile, symbolsOf } from '#shared/protobuf/descriptor.js';
import type { MessageInit, MessageOf } from '#shared/protobuf/schema.js';
import { REFLECTION, REFLECTION_CALL, type ReflectionVersion } from '#shared/protobuf/standard/reflection-proto.js';
import { eachInStream, type GrpcApi } from './grpc-api.js';

type Request = MessageOf<ReflectionVersion['rpc']['request']>;
type Answer = MessageInit<ReflectionVersion['rpc']['answer']>;

/** Server reflection: tells clients that have no .proto which services, calls and messages there are. */
export function reflectionApi(apis: readonly GrpcApi[]): GrpcApi {
  const own = REFLECTION.map(({ proto }) => proto);
  const index = new DescriptorIndex([...apis.flatMap(({ protos }) => protos), ...own]);
  const services = REFLECTION.map(({ rpc, service }) => ({
    service,
    methods: {
      [REFLECTION_CALL]: eachInStream(rpc, {
        call: 'metadata',
        answer: (request) => ({ valid_host: request.host, original_request: originalOf(request), ...index.answer(request) }),
      }),
    },
  }));
  return { services, protos: own };
}

class DescriptorIndex {
  readonly #files: readonly ProtoFile[];
  readonly #services: readonly string[];
  readonly #bySymbol = new Map<string, ProtoFile>();

  constructor(files: readonly ProtoFile[]) {
    // A file that two APIs share is listed once.
    this.#files = [...new Set(files.flatMap(withImports))];
    this.#services = files.flatMap(({ services }) => services.map(({ name }) => name)).sort();
    for (const file of this.#files) for (const symbol of symbolsOf(file)) this.#bySymbol.set(symbol, file);
  }

  answer(request: Request): Answer {
    if (request.list_services !== undefined) {
      return { list_services_response: { service: this.#services.map((name) => ({ name })) } };
    }
    if (request.file_by_filename !== undefined) {
      return described(
        this.#files.find(({ name }) => name === request.file_by_filename),
        request.file_by_filename,
      );
    }
    if (request.file_containing_symbol !== undefined) {
      return described(this.#bySymbol.get(request.file_containing_symbol), request.file_containing_symbol);
    }
    // Proto3 messages have no extensions.
    const type = request.all_extension_numbers_of_type;
    if (type !== undefined && this.#bySymbol.has(type)) return { all_extension_numbers_response: { base_type_name: type } };
    return missing(type ?? request.file_containing_extension?.containing_type ?? 'a request that asks for nothing');
  }
}

/** The request is told back with its answer. */
function originalOf({ host, ...asked }: Request): Answer['original_request'] {
  return { host, ...asked };
}

/** A file with those it imports: clients then need not ask for each. */
function described(file: ProtoFile | undefined, asked: string): Answer {
  if (file === undefined) return missing(asked);
  return { file_descriptor_response: { file_descriptor_proto: withImports(file).map(fileDescriptor) } };
}

function withImports(file: ProtoFile): readonly ProtoFile[] {
  return [file, ...file.imports.flatMap(withImports)];
}

function missing(what: string): Answer {
  return { error_response: { error_code: STATUSES.NOT_FOUND.grpc, error_message: `not found: ${what.slice(0, 256)}` } };
}
