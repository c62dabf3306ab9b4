import { GRPC_INFERENCE_SERVICE, GRPC_SERVICE_PROTO } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { DialectDeps } from '../../../dialect.js';
import { eachInStream, type GrpcApi, type GrpcMethod, unary } from '../../../grpc/grpc-api.js';
import { notReady } from '../../../readiness.js';
import { serverMetadata } from '../oip-documents.js';
import { repositoryMethods, settingsMethods, sharedMemoryMethods } from './grpc-extensions.js';
import { infer } from './grpc-infer.js';
import { config, metadata, ready, statistics } from './grpc-models.js';

const RPCS = GRPC_INFERENCE_SERVICE.rpcs;

/** The Open Inference Protocol v2 over gRPC, with Triton's extensions. */
export function oipGrpc(deps: DialectDeps): GrpcApi {
  const methods: Record<keyof typeof RPCS, GrpcMethod> = {
    ...serverMethods(deps),
    ...modelMethods(deps),
    ...inferMethods(deps),
    ...repositoryMethods(deps),
    ...sharedMemoryMethods(deps),
    ...settingsMethods(deps),
  };
  return { services: [{ service: GRPC_INFERENCE_SERVICE, methods }], protos: [GRPC_SERVICE_PROTO] };
}

function serverMethods({ models, agentVersion }: DialectDeps) {
  return {
    ServerLive: unary(RPCS.ServerLive, { call: 'health', answer: () => ({ live: true }) }),
    ServerReady: unary(RPCS.ServerReady, { call: 'health', answer: () => ({ ready: notReady(models).length === 0 }) }),
    ServerMetadata: unary(RPCS.ServerMetadata, { call: 'metadata', answer: () => serverMetadata(agentVersion) }),
  };
}

const byName = ({ name }: { readonly name: string }): string => name;
const byModelName = ({ model_name: name }: { readonly model_name: string }): string => name;

function modelMethods(deps: DialectDeps) {
  return {
    ModelReady: unary(RPCS.ModelReady, { call: 'health', model: byName, answer: (request) => ready(deps, request) }),
    ModelMetadata: unary(RPCS.ModelMetadata, { call: 'metadata', model: byName, answer: (request) => metadata(deps, request) }),
    ModelConfig: unary(RPCS.ModelConfig, { call: 'metadata', model: byName, answer: (request) => config(deps, request) }),
    ModelStatistics: unary(RPCS.ModelStatistics, { call: 'statistics', model: byName, answer: (request) => statistics(deps, request) }),
  };
}

function inferMethods(deps: DialectDeps) {
  return {
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
