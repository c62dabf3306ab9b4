import type { ProtoFile } from '../descriptor.js';
import { choice, many, map, message, one, opaque, rpc, service, streamingRpc } from '../schema.js';
import { MODEL_CONFIG, MODEL_CONFIG_PROTO } from './model-config-proto.js';

// Open Inference Protocol v2, "GRPC", and Triton's extensions of it: `grpc_service.proto`.

const SERVER_LIVE_REQUEST = message('inference.ServerLiveRequest', {});
const SERVER_LIVE_RESPONSE = message('inference.ServerLiveResponse', { live: one('bool', 1) });
const SERVER_READY_REQUEST = message('inference.ServerReadyRequest', {});
const SERVER_READY_RESPONSE = message('inference.ServerReadyResponse', { ready: one('bool', 1) });
const MODEL_READY_REQUEST = message('inference.ModelReadyRequest', { name: one('string', 1), version: one('string', 2) });
const MODEL_READY_RESPONSE = message('inference.ModelReadyResponse', { ready: one('bool', 1) });
const SERVER_METADATA_REQUEST = message('inference.ServerMetadataRequest', {});
const SERVER_METADATA_RESPONSE = message('inference.ServerMetadataResponse', {
  name: one('string', 1),
  version: one('string', 2),
  extensions: many('string', 3),
});
const MODEL_METADATA_REQUEST = message('inference.ModelMetadataRequest', { name: one('string', 1), version: one('string', 2) });
const MODEL_METADATA_RESPONSE_TENSOR_METADATA = message('inference.ModelMetadataResponse.TensorMetadata', {
  name: one('string', 1),
  datatype: one('string', 2),
  shape: many('long', 3),
});
const MODEL_METADATA_RESPONSE = message('inference.ModelMetadataResponse', {
  name: one('string', 1),
  versions: many('string', 2),
  platform: one('string', 3),
  inputs: many(MODEL_METADATA_RESPONSE_TENSOR_METADATA, 4),
  outputs: many(MODEL_METADATA_RESPONSE_TENSOR_METADATA, 5),
  properties: map('string', 6),
});
export const INFER_PARAMETER = message('inference.InferParameter', {
  bool_param: choice('parameter_choice', 'bool', 1),
  int64_param: choice('parameter_choice', 'int64', 2),
  string_param: choice('parameter_choice', 'string', 3),
  double_param: choice('parameter_choice', 'double', 4),
  uint64_param: choice('parameter_choice', 'uint64', 5),
});
export const INFER_TENSOR_CONTENTS = message('inference.InferTensorContents', {
  bool_contents: many('bool', 1),
  int_contents: many('int32', 2),
  int64_contents: many('int64', 3),
  uint_contents: many('uint32', 4),
  uint64_contents: many('uint64', 5),
  fp32_contents: many('float', 6),
  fp64_contents: many('double', 7),
  bytes_contents: many('bytes', 8),
});
const MODEL_INFER_REQUEST_INFER_INPUT_TENSOR = message('inference.ModelInferRequest.InferInputTensor', {
  name: one('string', 1),
  datatype: one('string', 2),
  shape: many('long', 3),
  parameters: map(INFER_PARAMETER, 4),
  contents: opaque(INFER_TENSOR_CONTENTS, 5),
});
const MODEL_INFER_REQUEST_INFER_REQUESTED_OUTPUT_TENSOR = message('inference.ModelInferRequest.InferRequestedOutputTensor', {
  name: one('string', 1),
  parameters: map(INFER_PARAMETER, 2),
});
export const MODEL_INFER_REQUEST = message('inference.ModelInferRequest', {
  model_name: one('string', 1),
  model_version: one('string', 2),
  id: one('string', 3),
  parameters: map(INFER_PARAMETER, 4),
  inputs: many(MODEL_INFER_REQUEST_INFER_INPUT_TENSOR, 5),
  outputs: many(MODEL_INFER_REQUEST_INFER_REQUESTED_OUTPUT_TENSOR, 6),
  raw_input_contents: many('bytes', 7),
});
const MODEL_INFER_RESPONSE_INFER_OUTPUT_TENSOR = message('inference.ModelInferResponse.InferOutputTensor', {
  name: one('string', 1),
  datatype: one('string', 2),
  shape: many('long', 3),
  parameters: map(INFER_PARAMETER, 4),
  contents: opaque(INFER_TENSOR_CONTENTS, 5),
});
export const MODEL_INFER_RESPONSE = message('inference.ModelInferResponse', {
  model_name: one('string', 1),
  model_version: one('string', 2),
  id: one('string', 3),
  parameters: map(INFER_PARAMETER, 4),
  outputs: many(MODEL_INFER_RESPONSE_INFER_OUTPUT_TENSOR, 5),
  raw_output_contents: many('bytes', 6),
});
const MODEL_STREAM_INFER_RESPONSE = message('inference.ModelStreamInferResponse', {
  error_message: one('string', 1),
  infer_response: one(MODEL_INFER_RESPONSE, 2),
});
const MODEL_CONFIG_REQUEST = message('inference.ModelConfigRequest', { name: one('string', 1), version: one('string', 2) });
const MODEL_CONFIG_RESPONSE = message('inference.ModelConfigResponse', { config: one(MODEL_CONFIG, 1) });
const MODEL_STATISTICS_REQUEST = message('inference.ModelStatisticsRequest', { name: one('string', 1), version: one('string', 2) });
const STATISTIC_DURATION = message('inference.StatisticDuration', { count: one('ulong', 1), ns: one('ulong', 2) });
const INFER_STATISTICS = message('inference.InferStatistics', {
  success: one(STATISTIC_DURATION, 1),
  fail: one(STATISTIC_DURATION, 2),
  queue: one(STATISTIC_DURATION, 3),
  compute_input: one(STATISTIC_DURATION, 4),
  compute_infer: one(STATISTIC_DURATION, 5),
  compute_output: one(STATISTIC_DURATION, 6),
  cache_hit: one(STATISTIC_DURATION, 7),
  cache_miss: one(STATISTIC_DURATION, 8),
});
const INFER_RESPONSE_STATISTICS = message('inference.InferResponseStatistics', {
  compute_infer: one(STATISTIC_DURATION, 1),
  compute_output: one(STATISTIC_DURATION, 2),
  success: one(STATISTIC_DURATION, 3),
  fail: one(STATISTIC_DURATION, 4),
  empty_response: one(STATISTIC_DURATION, 5),
  cancel: one(STATISTIC_DURATION, 6),
});
const INFER_BATCH_STATISTICS = message('inference.InferBatchStatistics', {
  batch_size: one('ulong', 1),
  compute_input: one(STATISTIC_DURATION, 2),
  compute_infer: one(STATISTIC_DURATION, 3),
  compute_output: one(STATISTIC_DURATION, 4),
});
const MEMORY_USAGE = message('inference.MemoryUsage', { type: one('string', 1), id: one('long', 2), byte_size: one('ulong', 3) });
const MODEL_STATISTICS = message('inference.ModelStatistics', {
  name: one('string', 1),
  version: one('string', 2),
  last_inference: one('ulong', 3),
  inference_count: one('ulong', 4),
  execution_count: one('ulong', 5),
  inference_stats: one(INFER_STATISTICS, 6),
  batch_stats: many(INFER_BATCH_STATISTICS, 7),
  memory_usage: many(MEMORY_USAGE, 8),
  response_stats: map(INFER_RESPONSE_STATISTICS, 9),
});
const MODEL_STATISTICS_RESPONSE = message('inference.ModelStatisticsResponse', { model_stats: many(MODEL_STATISTICS, 1) });
const MODEL_REPOSITORY_PARAMETER = message('inference.ModelRepositoryParameter', {
  bool_param: choice('parameter_choice', 'bool', 1),
  int64_param: choice('parameter_choice', 'int64', 2),
  string_param: choice('parameter_choice', 'string', 3),
  bytes_param: choice('parameter_choice', 'bytes', 4),
});
const REPOSITORY_INDEX_REQUEST = message('inference.RepositoryIndexRequest', { repository_name: one('string', 1), ready: one('bool', 2) });
const REPOSITORY_INDEX_RESPONSE_MODEL_INDEX = message('inference.RepositoryIndexResponse.ModelIndex', {
  name: one('string', 1),
  version: one('string', 2),
  state: one('string', 3),
  reason: one('string', 4),
});
const REPOSITORY_INDEX_RESPONSE = message('inference.RepositoryIndexResponse', { models: many(REPOSITORY_INDEX_RESPONSE_MODEL_INDEX, 1) });
const REPOSITORY_MODEL_LOAD_REQUEST = message('inference.RepositoryModelLoadRequest', {
  repository_name: one('string', 1),
  model_name: one('string', 2),
  parameters: map(MODEL_REPOSITORY_PARAMETER, 3),
});
const REPOSITORY_MODEL_LOAD_RESPONSE = message('inference.RepositoryModelLoadResponse', {});
const REPOSITORY_MODEL_UNLOAD_REQUEST = message('inference.RepositoryModelUnloadRequest', {
  repository_name: one('string', 1),
  model_name: one('string', 2),
  parameters: map(MODEL_REPOSITORY_PARAMETER, 3),
});
const REPOSITORY_MODEL_UNLOAD_RESPONSE = message('inference.RepositoryModelUnloadResponse', {});
const SYSTEM_SHARED_MEMORY_STATUS_REQUEST = message('inference.SystemSharedMemoryStatusRequest', { name: one('string', 1) });
const SYSTEM_SHARED_MEMORY_STATUS_RESPONSE_REGION_STATUS = message('inference.SystemSharedMemoryStatusResponse.RegionStatus', {
  name: one('string', 1),
  key: one('string', 2),
  offset: one('ulong', 3),
  byte_size: one('ulong', 4),
});
const SYSTEM_SHARED_MEMORY_STATUS_RESPONSE = message('inference.SystemSharedMemoryStatusResponse', {
  regions: map(SYSTEM_SHARED_MEMORY_STATUS_RESPONSE_REGION_STATUS, 1),
});
const SYSTEM_SHARED_MEMORY_REGISTER_REQUEST = message('inference.SystemSharedMemoryRegisterRequest', {
  name: one('string', 1),
  key: one('string', 2),
  offset: one('ulong', 3),
  byte_size: one('ulong', 4),
});
const SYSTEM_SHARED_MEMORY_REGISTER_RESPONSE = message('inference.SystemSharedMemoryRegisterResponse', {});
const SYSTEM_SHARED_MEMORY_UNREGISTER_REQUEST = message('inference.SystemSharedMemoryUnregisterRequest', { name: one('string', 1) });
const SYSTEM_SHARED_MEMORY_UNREGISTER_RESPONSE = message('inference.SystemSharedMemoryUnregisterResponse', {});
const CUDA_SHARED_MEMORY_STATUS_REQUEST = message('inference.CudaSharedMemoryStatusRequest', { name: one('string', 1) });
const CUDA_SHARED_MEMORY_STATUS_RESPONSE_REGION_STATUS = message('inference.CudaSharedMemoryStatusResponse.RegionStatus', {
  name: one('string', 1),
  device_id: one('ulong', 2),
  byte_size: one('ulong', 3),
});
const CUDA_SHARED_MEMORY_STATUS_RESPONSE = message('inference.CudaSharedMemoryStatusResponse', {
  regions: map(CUDA_SHARED_MEMORY_STATUS_RESPONSE_REGION_STATUS, 1),
});
const CUDA_SHARED_MEMORY_REGISTER_REQUEST = message('inference.CudaSharedMemoryRegisterRequest', {
  name: one('string', 1),
  raw_handle: one('bytes', 2),
  device_id: one('long', 3),
  byte_size: one('ulong', 4),
});
const CUDA_SHARED_MEMORY_REGISTER_RESPONSE = message('inference.CudaSharedMemoryRegisterResponse', {});
const CUDA_SHARED_MEMORY_UNREGISTER_REQUEST = message('inference.CudaSharedMemoryUnregisterRequest', { name: one('string', 1) });
const CUDA_SHARED_MEMORY_UNREGISTER_RESPONSE = message('inference.CudaSharedMemoryUnregisterResponse', {});
const TRACE_SETTING_REQUEST_SETTING_VALUE = message('inference.TraceSettingRequest.SettingValue', { value: many('string', 1) });
const TRACE_SETTING_REQUEST = message('inference.TraceSettingRequest', {
  settings: map(TRACE_SETTING_REQUEST_SETTING_VALUE, 1),
  model_name: one('string', 2),
});
const TRACE_SETTING_RESPONSE_SETTING_VALUE = message('inference.TraceSettingResponse.SettingValue', { value: many('string', 1) });
const TRACE_SETTING_RESPONSE = message('inference.TraceSettingResponse', { settings: map(TRACE_SETTING_RESPONSE_SETTING_VALUE, 1) });
const LOG_SETTINGS_REQUEST_SETTING_VALUE = message('inference.LogSettingsRequest.SettingValue', {
  bool_param: choice('parameter_choice', 'bool', 1),
  uint32_param: choice('parameter_choice', 'uint32', 2),
  string_param: choice('parameter_choice', 'string', 3),
});
const LOG_SETTINGS_REQUEST = message('inference.LogSettingsRequest', { settings: map(LOG_SETTINGS_REQUEST_SETTING_VALUE, 1) });
const LOG_SETTINGS_RESPONSE_SETTING_VALUE = message('inference.LogSettingsResponse.SettingValue', {
  bool_param: choice('parameter_choice', 'bool', 1),
  uint32_param: choice('parameter_choice', 'uint32', 2),
  string_param: choice('parameter_choice', 'string', 3),
});
const LOG_SETTINGS_RESPONSE = message('inference.LogSettingsResponse', { settings: map(LOG_SETTINGS_RESPONSE_SETTING_VALUE, 1) });
/** All calls of the protocol, those of Triton's extensions among them. */
export const GRPC_INFERENCE_SERVICE = service('inference.GRPCInferenceService', {
  ServerLive: rpc(SERVER_LIVE_REQUEST, SERVER_LIVE_RESPONSE),
  ServerReady: rpc(SERVER_READY_REQUEST, SERVER_READY_RESPONSE),
  ModelReady: rpc(MODEL_READY_REQUEST, MODEL_READY_RESPONSE),
  ServerMetadata: rpc(SERVER_METADATA_REQUEST, SERVER_METADATA_RESPONSE),
  ModelMetadata: rpc(MODEL_METADATA_REQUEST, MODEL_METADATA_RESPONSE),
  ModelInfer: rpc(MODEL_INFER_REQUEST, MODEL_INFER_RESPONSE),
  ModelStreamInfer: streamingRpc(MODEL_INFER_REQUEST, MODEL_STREAM_INFER_RESPONSE, 'both'),
  ModelConfig: rpc(MODEL_CONFIG_REQUEST, MODEL_CONFIG_RESPONSE),
  ModelStatistics: rpc(MODEL_STATISTICS_REQUEST, MODEL_STATISTICS_RESPONSE),
  RepositoryIndex: rpc(REPOSITORY_INDEX_REQUEST, REPOSITORY_INDEX_RESPONSE),
  RepositoryModelLoad: rpc(REPOSITORY_MODEL_LOAD_REQUEST, REPOSITORY_MODEL_LOAD_RESPONSE),
  RepositoryModelUnload: rpc(REPOSITORY_MODEL_UNLOAD_REQUEST, REPOSITORY_MODEL_UNLOAD_RESPONSE),
  SystemSharedMemoryStatus: rpc(SYSTEM_SHARED_MEMORY_STATUS_REQUEST, SYSTEM_SHARED_MEMORY_STATUS_RESPONSE),
  SystemSharedMemoryRegister: rpc(SYSTEM_SHARED_MEMORY_REGISTER_REQUEST, SYSTEM_SHARED_MEMORY_REGISTER_RESPONSE),
  SystemSharedMemoryUnregister: rpc(SYSTEM_SHARED_MEMORY_UNREGISTER_REQUEST, SYSTEM_SHARED_MEMORY_UNREGISTER_RESPONSE),
  CudaSharedMemoryStatus: rpc(CUDA_SHARED_MEMORY_STATUS_REQUEST, CUDA_SHARED_MEMORY_STATUS_RESPONSE),
  CudaSharedMemoryRegister: rpc(CUDA_SHARED_MEMORY_REGISTER_REQUEST, CUDA_SHARED_MEMORY_REGISTER_RESPONSE),
  CudaSharedMemoryUnregister: rpc(CUDA_SHARED_MEMORY_UNREGISTER_REQUEST, CUDA_SHARED_MEMORY_UNREGISTER_RESPONSE),
  TraceSetting: rpc(TRACE_SETTING_REQUEST, TRACE_SETTING_RESPONSE),
  LogSettings: rpc(LOG_SETTINGS_REQUEST, LOG_SETTINGS_RESPONSE),
});

export const GRPC_SERVICE_PROTO: ProtoFile = {
  name: 'grpc_service.proto',
  package: 'inference',
  imports: [MODEL_CONFIG_PROTO],
  messages: [
    SERVER_LIVE_REQUEST,
    SERVER_LIVE_RESPONSE,
    SERVER_READY_REQUEST,
    SERVER_READY_RESPONSE,
    MODEL_READY_REQUEST,
    MODEL_READY_RESPONSE,
    SERVER_METADATA_REQUEST,
    SERVER_METADATA_RESPONSE,
    MODEL_METADATA_REQUEST,
    MODEL_METADATA_RESPONSE_TENSOR_METADATA,
    MODEL_METADATA_RESPONSE,
    INFER_PARAMETER,
    INFER_TENSOR_CONTENTS,
    MODEL_INFER_REQUEST_INFER_INPUT_TENSOR,
    MODEL_INFER_REQUEST_INFER_REQUESTED_OUTPUT_TENSOR,
    MODEL_INFER_REQUEST,
    MODEL_INFER_RESPONSE_INFER_OUTPUT_TENSOR,
    MODEL_INFER_RESPONSE,
    MODEL_STREAM_INFER_RESPONSE,
    MODEL_CONFIG_REQUEST,
    MODEL_CONFIG_RESPONSE,
    MODEL_STATISTICS_REQUEST,
    STATISTIC_DURATION,
    INFER_STATISTICS,
    INFER_RESPONSE_STATISTICS,
    INFER_BATCH_STATISTICS,
    MEMORY_USAGE,
    MODEL_STATISTICS,
    MODEL_STATISTICS_RESPONSE,
    MODEL_REPOSITORY_PARAMETER,
    REPOSITORY_INDEX_REQUEST,
    REPOSITORY_INDEX_RESPONSE_MODEL_INDEX,
    REPOSITORY_INDEX_RESPONSE,
    REPOSITORY_MODEL_LOAD_REQUEST,
    REPOSITORY_MODEL_LOAD_RESPONSE,
    REPOSITORY_MODEL_UNLOAD_REQUEST,
    REPOSITORY_MODEL_UNLOAD_RESPONSE,
    SYSTEM_SHARED_MEMORY_STATUS_REQUEST,
    SYSTEM_SHARED_MEMORY_STATUS_RESPONSE_REGION_STATUS,
    SYSTEM_SHARED_MEMORY_STATUS_RESPONSE,
    SYSTEM_SHARED_MEMORY_REGISTER_REQUEST,
    SYSTEM_SHARED_MEMORY_REGISTER_RESPONSE,
    SYSTEM_SHARED_MEMORY_UNREGISTER_REQUEST,
    SYSTEM_SHARED_MEMORY_UNREGISTER_RESPONSE,
    CUDA_SHARED_MEMORY_STATUS_REQUEST,
    CUDA_SHARED_MEMORY_STATUS_RESPONSE_REGION_STATUS,
    CUDA_SHARED_MEMORY_STATUS_RESPONSE,
    CUDA_SHARED_MEMORY_REGISTER_REQUEST,
    CUDA_SHARED_MEMORY_REGISTER_RESPONSE,
    CUDA_SHARED_MEMORY_UNREGISTER_REQUEST,
    CUDA_SHARED_MEMORY_UNREGISTER_RESPONSE,
    TRACE_SETTING_REQUEST_SETTING_VALUE,
    TRACE_SETTING_REQUEST,
    TRACE_SETTING_RESPONSE_SETTING_VALUE,
    TRACE_SETTING_RESPONSE,
    LOG_SETTINGS_REQUEST_SETTING_VALUE,
    LOG_SETTINGS_REQUEST,
    LOG_SETTINGS_RESPONSE_SETTING_VALUE,
    LOG_SETTINGS_RESPONSE,
  ],
  enums: [],
  services: [GRPC_INFERENCE_SERVICE],
};
