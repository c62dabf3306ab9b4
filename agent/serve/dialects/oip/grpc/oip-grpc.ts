import { SkerryError } from '#shared/kernel/errors.js';
import { GRPC_INFERENCE_SERVICE, GRPC_SERVICE_PROTO } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { DialectDeps } from '../../../dialect.js';
import { eachInStream, type GrpcApi, type GrpcMethod, unary } from '../../../grpc/grpc-api.js';
import { notReady } from '../../../readiness.js';
import { infer } from './grpc-infer.js';
import { modelConfig, modelMetadata, modelReady, modelStatistics } from './grpc-models.js';
import { repositoryIndex, repositoryLoad, repositoryUnload } from './grpc-repository.js';

const RPCS = GRPC_INFERENCE_SERVICE.rpcs;

/** The Open Inference Protocol v2 over gRPC, with Triton's extensions. */
export function oipGrpc(deps: DialectDeps): GrpcApi {
  const methods: Record<keyof typeof RPCS, GrpcMethod> = {
    ...serverMethods(deps),
    ...modelMethods(deps),
    ...repositoryMethods(deps),
    ...unsupported(),
  };
  return { services: [{ service: GRPC_INFERENCE_SERVICE, methods }], protos: [GRPC_SERVICE_PROTO] };
}

function serverMethods({ models, agentVersion }: DialectDeps) {
  return {
    ServerLive: unary(RPCS.ServerLive, { call: 'health', answer: () => ({ live: true }) }),
    ServerReady: unary(RPCS.ServerReady, { call: 'health', answer: () => ({ ready: notReady(models).length === 0 }) }),
    ServerMetadata: unary(RPCS.ServerMetadata, {
      call: 'metadata',
      answer: () => ({ name: 'skerry', version: agentVersion, extensions: ['binary_tensor_data'] }),
    }),
  };
}

const byName = ({ name }: { readonly name: string }): string => name;
const byModelName = ({ model_name: name }: { readonly model_name: string }): string => name;

function modelMethods(deps: DialectDeps) {
  return {
    ModelReady: unary(RPCS.ModelReady, { call: 'health', model: byName, answer: (request) => modelReady(deps, request) }),
    ModelMetadata: unary(RPCS.ModelMetadata, { call: 'metadata', model: byName, answer: (request) => modelMetadata(deps, request) }),
    ModelConfig: unary(RPCS.ModelConfig, { call: 'metadata', model: byName, answer: (request) => modelConfig(deps, request) }),
    ModelStatistics: unary(RPCS.ModelStatistics, {
      call: 'statistics',
      model: byName,
      answer: (request) => modelStatistics(deps, request),
    }),
    ModelInfer: unary(RPCS.ModelInfer, {
      call: 'inference',
      model: byModelName,
      answer: (request, exchange) => infer(deps, request, exchange),
    }),
    ModelStreamInfer: eachInStream(RPCS.ModelStreamInfer, {
      call: 'inference',
      model: byModelName,
      answer: async (request, exchange) => {
        const response = await infer(deps, request, exchange);
        return { infer_response: { ...response, parameters: new Map([['triton_final_response', { bool_param: true }]]) } };
      },
      refused: (error, { id }) => ({ error_message: error.message, infer_response: { id } }),
    }),
  };
}

function repositoryMethods(deps: DialectDeps) {
  return {
    RepositoryIndex: unary(RPCS.RepositoryIndex, { call: 'metadata', answer: (request) => repositoryIndex(deps, request) }),
    RepositoryModelLoad: unary(RPCS.RepositoryModelLoad, {
      call: 'repository',
      model: byModelName,
      answer: async (request) => {
        await repositoryLoad(deps, request);
        return {};
      },
    }),
    RepositoryModelUnload: unary(RPCS.RepositoryModelUnload, {
      call: 'repository',
      model: byModelName,
      answer: async (request) => {
        await repositoryUnload(deps, request);
        return {};
      },
    }),
  };
}

/** Extensions that are refused by name. Where there can be no region, none to report is the truth. */
function unsupported() {
  return {
    SystemSharedMemoryStatus: unary(RPCS.SystemSharedMemoryStatus, { call: 'metadata', answer: () => ({}) }),
    SystemSharedMemoryRegister: unary(RPCS.SystemSharedMemoryRegister, {
      call: 'shared-memory',
      answer: () => refuse('system shared memory'),
    }),
    SystemSharedMemoryUnregister: unary(RPCS.SystemSharedMemoryUnregister, { call: 'shared-memory', answer: () => ({}) }),
    CudaSharedMemoryStatus: unary(RPCS.CudaSharedMemoryStatus, { call: 'metadata', answer: () => ({}) }),
    CudaSharedMemoryRegister: unary(RPCS.CudaSharedMemoryRegister, { call: 'shared-memory', answer: () => refuse('CUDA shared memory') }),
    CudaSharedMemoryUnregister: unary(RPCS.CudaSharedMemoryUnregister, { call: 'shared-memory', answer: () => ({}) }),
    TraceSetting: unary(RPCS.TraceSetting, { call: 'settings', answer: () => refuse('the trace extension') }),
    LogSettings: unary(RPCS.LogSettings, { call: 'settings', answer: () => refuse('the logging extension') }),
  };
}

function refuse(what: string): never {
  throw new SkerryError('SERVE_UNSUPPORTED', `${what} is not supported`);
}
