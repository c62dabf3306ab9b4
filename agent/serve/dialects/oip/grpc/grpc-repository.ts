import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { GRPC_INFERENCE_SERVICE } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { MessageInit, MessageOf } from '#shared/protobuf/schema.js';
import type { DialectDeps } from '../../../dialect.js';
import type { LoadOverride } from '../../../repository.js';

type Rpcs = (typeof GRPC_INFERENCE_SERVICE)['rpcs'];
type RequestOf<Name extends keyof Rpcs> = MessageOf<Rpcs[Name]['request']>;
type AnswerOf<Name extends keyof Rpcs> = MessageInit<Rpcs[Name]['answer']>;

const FILE_PREFIX = 'file:';

/** "RepositoryIndex". */
export function repositoryIndex({ repository }: DialectDeps, request: RequestOf<'RepositoryIndex'>): AnswerOf<'RepositoryIndex'> {
  refuseRepositoryName(request);
  const entries = repository.index().filter(({ state }) => !request.ready || state === 'READY');
  return {
    models: entries.map(({ name, version, state, reason }) => ({
      name,
      // A model of which no version was ever loaded has neither.
      ...(version === undefined ? {} : { version: String(version), state }),
      reason,
    })),
  };
}

/** "RepositoryModelLoad". */
export async function repositoryLoad({ repository }: DialectDeps, request: RequestOf<'RepositoryModelLoad'>): Promise<void> {
  refuseRepositoryName(request);
  await repository.load(request.model_name, readOverride(request.parameters));
}

/** "RepositoryModelUnload". */
export async function repositoryUnload({ repository }: DialectDeps, request: RequestOf<'RepositoryModelUnload'>): Promise<void> {
  refuseRepositoryName(request);
  const dependents = request.parameters.get('unload_dependents');
  if (dependents !== undefined && dependents.bool_param === undefined) throw wrongType('unload_dependents', 'bool_param');
  await repository.unload(request.model_name, { dependents: dependents?.bool_param ?? false });
}

function readOverride(parameters: RequestOf<'RepositoryModelLoad'>['parameters']): LoadOverride {
  const files = new Map<string, Uint8Array>();
  let config: string | undefined;
  for (const [name, value] of parameters) {
    if (name === 'config') {
      config = value.string_param;
      if (config === undefined) throw wrongType(name, 'string_param');
    } else if (name.startsWith(FILE_PREFIX)) {
      if (value.bytes_param === undefined) throw wrongType(name, 'bytes_param');
      files.set(name.slice(FILE_PREFIX.length), value.bytes_param);
    } else throw new SkerryError('SERVE_REQUEST', `unrecognized load parameter '${name.slice(0, LIMITS.nameLength)}'`);
  }
  return { files, ...(config === undefined ? {} : { config }) };
}

function wrongType(name: string, expected: string): SkerryError {
  return new SkerryError('SERVE_REQUEST', `invalid value type for '${name.slice(0, LIMITS.nameLength)}' parameter, expected ${expected}`);
}

function refuseRepositoryName({ repository_name: name }: { readonly repository_name: string }): void {
  if (name === '') return;
  throw new SkerryError('SERVE_UNSUPPORTED', "'repository_name' specification is not supported: there is one repository");
}
