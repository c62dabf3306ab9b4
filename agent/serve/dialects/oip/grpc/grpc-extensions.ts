import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { GRPC_INFERENCE_SERVICE } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { MessageInit, MessageOf } from '#shared/protobuf/schema.js';
import type { DialectDeps } from '../../../dialect.js';
import { unary } from '../../../grpc/grpc-api.js';
import { type JsonObject, stringAt } from '../../../json/fields.js';
import type { LoadOverride } from '../../../repository.js';
import { REGION_NAME_LENGTH } from '../../../shared-memory/shared-memory.js';
import { repositoryIndex } from '../oip-documents.js';
import { logChanges, logDocument, traceChanges, traceDocument } from '../oip-settings.js';
import { cudaRefused, cudaUnknown, readRegion, regionDocument } from '../oip-shared-memory.js';
import { namedTarget } from './grpc-target.js';

const RPCS = GRPC_INFERENCE_SERVICE.rpcs;

/** Triton's model repository extension. */
export function repositoryMethods({ repository }: DialectDeps) {
  return {
    RepositoryIndex: unary(RPCS.RepositoryIndex, {
      call: 'metadata',
      answer: (request) => {
        refuseRepositoryName(request);
        return { models: repositoryIndex(repository.index(), request.ready) };
      },
    }),
    RepositoryModelLoad: unary(RPCS.RepositoryModelLoad, {
      call: 'repository',
      model: ({ model_name: name }) => name,
      answer: async (request) => {
        refuseRepositoryName(request);
        await repository.load(request.model_name, readOverride(request.parameters));
        return {};
      },
    }),
    RepositoryModelUnload: unary(RPCS.RepositoryModelUnload, {
      call: 'repository',
      model: ({ model_name: name }) => name,
      answer: async (request) => {
        refuseRepositoryName(request);
        const dependents = request.parameters.get('unload_dependents');
        if (dependents !== undefined && dependents.bool_param === undefined) throw wrongType('unload_dependents', 'bool_param');
        await repository.unload(request.model_name, { dependents: dependents?.bool_param ?? false });
        return {};
      },
    }),
  };
}

const FILE_PREFIX = 'file:';

function readOverride(parameters: MessageOf<(typeof RPCS)['RepositoryModelLoad']['request']>['parameters']): LoadOverride {
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
  if (name !== '') throw new SkerryError('SERVE_UNSUPPORTED', "'repository_name' specification is not supported: there is one repository");
}

/** Triton's shared memory extensions. */
export function sharedMemoryMethods({ sharedMemory }: DialectDeps) {
  const named = ({ name }: { readonly name: string }): string => stringAt(name, 'name', REGION_NAME_LENGTH);
  const unregister = async ({ name }: { readonly name: string }) => {
    await sharedMemory.unregister(name === '' ? undefined : name);
    return {};
  };
  return {
    SystemSharedMemoryStatus: unary(RPCS.SystemSharedMemoryStatus, {
      call: 'metadata',
      answer: ({ name }) => {
        const regions = name === '' ? sharedMemory.list() : [sharedMemory.find(name)];
        return { regions: new Map(regions.map((region) => [region.name, regionDocument(region)])) };
      },
    }),
    SystemSharedMemoryRegister: unary(RPCS.SystemSharedMemoryRegister, {
      call: 'shared-memory',
      answer: async (request) => {
        await sharedMemory.register(readRegion({ ...request }, named(request)));
        return {};
      },
    }),
    SystemSharedMemoryUnregister: unary(RPCS.SystemSharedMemoryUnregister, { call: 'shared-memory', answer: unregister }),
    CudaSharedMemoryStatus: unary(RPCS.CudaSharedMemoryStatus, {
      call: 'metadata',
      answer: ({ name }) => {
        if (name !== '') throw cudaUnknown(name);
        return {};
      },
    }),
    CudaSharedMemoryRegister: unary(RPCS.CudaSharedMemoryRegister, {
      call: 'shared-memory',
      answer: () => {
        throw cudaRefused();
      },
    }),
    CudaSharedMemoryUnregister: unary(RPCS.CudaSharedMemoryUnregister, { call: 'shared-memory', answer: () => ({}) }),
  };
}

/** Triton's extensions for traces and logging: a message without settings reads them. */
export function settingsMethods({ log, traces, models }: DialectDeps) {
  return {
    TraceSetting: unary(RPCS.TraceSetting, {
      call: ({ settings }) => (settings.size === 0 ? 'metadata' : 'settings'),
      model: ({ model_name: name }) => name,
      answer: ({ settings, model_name: name }) => {
        const model = name === '' ? undefined : namedTarget(name, '').model;
        if (model !== undefined) models.find(model);
        const now = settings.size === 0 ? traces.read(model) : traces.change(traceChanges(traceObject(settings)), model);
        return { settings: new Map(Object.entries(traceDocument(now)).map(([key, value]) => [key, { value: [value].flat() }])) };
      },
    }),
    LogSettings: unary(RPCS.LogSettings, {
      call: ({ settings }) => (settings.size === 0 ? 'metadata' : 'settings'),
      answer: ({ settings }) => {
        const now = settings.size === 0 ? log.settings : log.change(logChanges(logObject(settings)));
        return { settings: new Map(Object.entries(logDocument(now)).map(([key, value]) => [key, logValue(value)])) };
      },
    }),
  };
}

type TraceRequest = MessageOf<(typeof RPCS)['TraceSetting']['request']>['settings'];
type LogRequest = MessageOf<(typeof RPCS)['LogSettings']['request']>['settings'];
type LogValue = NonNullable<ReturnType<NonNullable<MessageInit<(typeof RPCS)['LogSettings']['answer']>['settings']>['get']>>;

/** As in JSON, where a setting without a value is set back and only levels are a list. */
function traceObject(settings: TraceRequest): JsonObject {
  return Object.fromEntries(
    [...settings].map(([name, { value }]) => [name, value.length === 0 ? null : name === 'trace_level' ? value : value.join(',')]),
  );
}

function logObject(settings: LogRequest): JsonObject {
  return Object.fromEntries(
    [...settings].map(([name, { bool_param: flag, uint32_param: count, string_param: text }]) => [name, flag ?? count ?? text ?? null]),
  );
}

function logValue(value: boolean | number | string): LogValue {
  if (typeof value === 'boolean') return { bool_param: value };
  return typeof value === 'number' ? { uint32_param: value } : { string_param: value };
}
