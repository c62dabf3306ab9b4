import type { ProtoFile } from '../descriptor.js';
import { choice, type EnumType, many, map, message, one } from '../schema.js';

// Triton's model configuration, `model_config.proto`: field numbers as in its protocol extensions.

const DATA_TYPE: EnumType = {
  name: 'inference.DataType',
  values: {
    TYPE_INVALID: 0,
    TYPE_BOOL: 1,
    TYPE_UINT8: 2,
    TYPE_UINT16: 3,
    TYPE_UINT32: 4,
    TYPE_UINT64: 5,
    TYPE_INT8: 6,
    TYPE_INT16: 7,
    TYPE_INT32: 8,
    TYPE_INT64: 9,
    TYPE_FP16: 10,
    TYPE_FP32: 11,
    TYPE_FP64: 12,
    TYPE_STRING: 13,
    TYPE_BF16: 14,
  },
};
const MODEL_INSTANCE_GROUP_KIND: EnumType = {
  name: 'inference.ModelInstanceGroup.Kind',
  values: { KIND_AUTO: 0, KIND_GPU: 1, KIND_CPU: 2, KIND_MODEL: 3 },
};
const MODEL_INSTANCE_GROUP_SECONDARY_DEVICE_SECONDARY_DEVICE_KIND: EnumType = {
  name: 'inference.ModelInstanceGroup.SecondaryDevice.SecondaryDeviceKind',
  values: { KIND_NVDLA: 0 },
};
const MODEL_INPUT_FORMAT: EnumType = { name: 'inference.ModelInput.Format', values: { FORMAT_NONE: 0, FORMAT_NHWC: 1, FORMAT_NCHW: 2 } };
const BATCH_INPUT_KIND: EnumType = {
  name: 'inference.BatchInput.Kind',
  values: {
    BATCH_ELEMENT_COUNT: 0,
    BATCH_ACCUMULATED_ELEMENT_COUNT: 1,
    BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO: 2,
    BATCH_MAX_ELEMENT_COUNT_AS_SHAPE: 3,
    BATCH_ITEM_SHAPE: 4,
    BATCH_ITEM_SHAPE_FLATTEN: 5,
  },
};
const BATCH_OUTPUT_KIND: EnumType = { name: 'inference.BatchOutput.Kind', values: { BATCH_SCATTER_WITH_INPUT_SHAPE: 0 } };
const MODEL_OPTIMIZATION_POLICY_MODEL_PRIORITY: EnumType = {
  name: 'inference.ModelOptimizationPolicy.ModelPriority',
  values: { PRIORITY_DEFAULT: 0, PRIORITY_MAX: 1, PRIORITY_MIN: 2 },
};
const MODEL_QUEUE_POLICY_TIMEOUT_ACTION: EnumType = { name: 'inference.ModelQueuePolicy.TimeoutAction', values: { REJECT: 0, DELAY: 1 } };
const MODEL_SEQUENCE_BATCHING_CONTROL_KIND: EnumType = {
  name: 'inference.ModelSequenceBatching.Control.Kind',
  values: { CONTROL_SEQUENCE_START: 0, CONTROL_SEQUENCE_READY: 1, CONTROL_SEQUENCE_END: 2, CONTROL_SEQUENCE_CORRID: 3 },
};
const MODEL_RATE_LIMITER_RESOURCE = message('inference.ModelRateLimiter.Resource', {
  name: one('string', 1),
  global: one('bool', 2),
  count: one('uint32', 3),
});
const MODEL_RATE_LIMITER = message('inference.ModelRateLimiter', {
  resources: many(MODEL_RATE_LIMITER_RESOURCE, 1),
  priority: one('uint32', 2),
});
const MODEL_INSTANCE_GROUP_SECONDARY_DEVICE = message('inference.ModelInstanceGroup.SecondaryDevice', {
  kind: one(MODEL_INSTANCE_GROUP_SECONDARY_DEVICE_SECONDARY_DEVICE_KIND, 1),
  device_id: one('long', 2),
});
const MODEL_INSTANCE_GROUP = message('inference.ModelInstanceGroup', {
  name: one('string', 1),
  kind: one(MODEL_INSTANCE_GROUP_KIND, 4),
  count: one('int32', 2),
  rate_limiter: one(MODEL_RATE_LIMITER, 6),
  gpus: many('int32', 3),
  secondary_devices: many(MODEL_INSTANCE_GROUP_SECONDARY_DEVICE, 8),
  profile: many('string', 5),
  passive: one('bool', 7),
  host_policy: one('string', 9),
});
const MODEL_TENSOR_RESHAPE = message('inference.ModelTensorReshape', { shape: many('long', 1) });
const MODEL_INPUT = message('inference.ModelInput', {
  name: one('string', 1),
  data_type: one(DATA_TYPE, 2),
  format: one(MODEL_INPUT_FORMAT, 3),
  dims: many('long', 4),
  reshape: one(MODEL_TENSOR_RESHAPE, 5),
  is_shape_tensor: one('bool', 6),
  allow_ragged_batch: one('bool', 7),
  optional: one('bool', 8),
  is_non_linear_format_io: one('bool', 9),
});
const MODEL_OUTPUT = message('inference.ModelOutput', {
  name: one('string', 1),
  data_type: one(DATA_TYPE, 2),
  dims: many('long', 3),
  reshape: one(MODEL_TENSOR_RESHAPE, 5),
  label_filename: one('string', 4),
  is_shape_tensor: one('bool', 6),
  is_non_linear_format_io: one('bool', 7),
});
const BATCH_INPUT = message('inference.BatchInput', {
  kind: one(BATCH_INPUT_KIND, 1),
  target_name: many('string', 2),
  data_type: one(DATA_TYPE, 3),
  source_input: many('string', 4),
});
const BATCH_OUTPUT = message('inference.BatchOutput', {
  target_name: many('string', 1),
  kind: one(BATCH_OUTPUT_KIND, 2),
  source_input: many('string', 3),
});
const MODEL_VERSION_POLICY_LATEST = message('inference.ModelVersionPolicy.Latest', { num_versions: one('uint32', 1) });
const MODEL_VERSION_POLICY_ALL = message('inference.ModelVersionPolicy.All', {});
const MODEL_VERSION_POLICY_SPECIFIC = message('inference.ModelVersionPolicy.Specific', { versions: many('long', 1) });
const MODEL_VERSION_POLICY = message('inference.ModelVersionPolicy', {
  latest: choice('policy_choice', MODEL_VERSION_POLICY_LATEST, 1),
  all: choice('policy_choice', MODEL_VERSION_POLICY_ALL, 2),
  specific: choice('policy_choice', MODEL_VERSION_POLICY_SPECIFIC, 3),
});
const MODEL_OPTIMIZATION_POLICY_GRAPH = message('inference.ModelOptimizationPolicy.Graph', { level: one('int32', 1) });
const MODEL_OPTIMIZATION_POLICY_CUDA_GRAPH_SPEC_SHAPE = message('inference.ModelOptimizationPolicy.Cuda.GraphSpec.Shape', {
  dim: many('long', 1),
});
const MODEL_OPTIMIZATION_POLICY_CUDA_GRAPH_SPEC_LOWER_BOUND = message('inference.ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound', {
  batch_size: one('int32', 1),
  input: map(MODEL_OPTIMIZATION_POLICY_CUDA_GRAPH_SPEC_SHAPE, 2),
});
const MODEL_OPTIMIZATION_POLICY_CUDA_GRAPH_SPEC = message('inference.ModelOptimizationPolicy.Cuda.GraphSpec', {
  batch_size: one('int32', 1),
  input: map(MODEL_OPTIMIZATION_POLICY_CUDA_GRAPH_SPEC_SHAPE, 2),
  graph_lower_bound: one(MODEL_OPTIMIZATION_POLICY_CUDA_GRAPH_SPEC_LOWER_BOUND, 3),
});
const MODEL_OPTIMIZATION_POLICY_CUDA = message('inference.ModelOptimizationPolicy.Cuda', {
  graphs: one('bool', 1),
  busy_wait_events: one('bool', 2),
  graph_spec: many(MODEL_OPTIMIZATION_POLICY_CUDA_GRAPH_SPEC, 3),
  output_copy_stream: one('bool', 4),
});
const MODEL_OPTIMIZATION_POLICY_EXECUTION_ACCELERATORS_ACCELERATOR = message(
  'inference.ModelOptimizationPolicy.ExecutionAccelerators.Accelerator',
  { name: one('string', 1), parameters: map('string', 2) },
);
const MODEL_OPTIMIZATION_POLICY_EXECUTION_ACCELERATORS = message('inference.ModelOptimizationPolicy.ExecutionAccelerators', {
  gpu_execution_accelerator: many(MODEL_OPTIMIZATION_POLICY_EXECUTION_ACCELERATORS_ACCELERATOR, 1),
  cpu_execution_accelerator: many(MODEL_OPTIMIZATION_POLICY_EXECUTION_ACCELERATORS_ACCELERATOR, 2),
});
const MODEL_OPTIMIZATION_POLICY_PINNED_MEMORY_BUFFER = message('inference.ModelOptimizationPolicy.PinnedMemoryBuffer', {
  enable: one('bool', 1),
});
const MODEL_OPTIMIZATION_POLICY = message('inference.ModelOptimizationPolicy', {
  graph: one(MODEL_OPTIMIZATION_POLICY_GRAPH, 1),
  priority: one(MODEL_OPTIMIZATION_POLICY_MODEL_PRIORITY, 2),
  cuda: one(MODEL_OPTIMIZATION_POLICY_CUDA, 3),
  execution_accelerators: one(MODEL_OPTIMIZATION_POLICY_EXECUTION_ACCELERATORS, 4),
  input_pinned_memory: one(MODEL_OPTIMIZATION_POLICY_PINNED_MEMORY_BUFFER, 5),
  output_pinned_memory: one(MODEL_OPTIMIZATION_POLICY_PINNED_MEMORY_BUFFER, 6),
  gather_kernel_buffer_threshold: one('uint32', 7),
  eager_batching: one('bool', 8),
});
const MODEL_QUEUE_POLICY = message('inference.ModelQueuePolicy', {
  timeout_action: one(MODEL_QUEUE_POLICY_TIMEOUT_ACTION, 1),
  default_timeout_microseconds: one('ulong', 2),
  allow_timeout_override: one('bool', 3),
  max_queue_size: one('uint32', 4),
});
const MODEL_DYNAMIC_BATCHING = message('inference.ModelDynamicBatching', {
  preferred_batch_size: many('int32', 1),
  max_queue_delay_microseconds: one('ulong', 2),
  preserve_ordering: one('bool', 3),
  priority_levels: one('ulong', 4),
  default_priority_level: one('ulong', 5),
  default_queue_policy: one(MODEL_QUEUE_POLICY, 6),
  priority_queue_policy: map(MODEL_QUEUE_POLICY, 7, 'ulong'),
});
const MODEL_SEQUENCE_BATCHING_CONTROL = message('inference.ModelSequenceBatching.Control', {
  kind: one(MODEL_SEQUENCE_BATCHING_CONTROL_KIND, 1),
  int32_false_true: many('int32', 2),
  fp32_false_true: many('float', 3),
  bool_false_true: many('bool', 5),
  data_type: one(DATA_TYPE, 4),
});
const MODEL_SEQUENCE_BATCHING_CONTROL_INPUT = message('inference.ModelSequenceBatching.ControlInput', {
  name: one('string', 1),
  control: many(MODEL_SEQUENCE_BATCHING_CONTROL, 2),
});
const MODEL_SEQUENCE_BATCHING_INITIAL_STATE = message('inference.ModelSequenceBatching.InitialState', {
  data_type: one(DATA_TYPE, 1),
  dims: many('long', 2),
  zero_data: choice('state_data', 'bool', 3),
  data_file: choice('state_data', 'string', 4),
  name: one('string', 5),
});
const MODEL_SEQUENCE_BATCHING_STATE = message('inference.ModelSequenceBatching.State', {
  input_name: one('string', 1),
  output_name: one('string', 2),
  data_type: one(DATA_TYPE, 3),
  dims: many('long', 4),
  initial_state: many(MODEL_SEQUENCE_BATCHING_INITIAL_STATE, 5),
  use_same_buffer_for_input_output: one('bool', 6),
  use_growable_memory: one('bool', 7),
});
const MODEL_SEQUENCE_BATCHING_STRATEGY_DIRECT = message('inference.ModelSequenceBatching.StrategyDirect', {
  max_queue_delay_microseconds: one('ulong', 1),
  minimum_slot_utilization: one('float', 2),
});
const MODEL_SEQUENCE_BATCHING_STRATEGY_OLDEST = message('inference.ModelSequenceBatching.StrategyOldest', {
  max_candidate_sequences: one('int32', 1),
  preferred_batch_size: many('int32', 2),
  max_queue_delay_microseconds: one('ulong', 3),
  preserve_ordering: one('bool', 4),
});
const MODEL_SEQUENCE_BATCHING = message('inference.ModelSequenceBatching', {
  direct: choice('strategy_choice', MODEL_SEQUENCE_BATCHING_STRATEGY_DIRECT, 3),
  oldest: choice('strategy_choice', MODEL_SEQUENCE_BATCHING_STRATEGY_OLDEST, 4),
  max_sequence_idle_microseconds: one('ulong', 1),
  control_input: many(MODEL_SEQUENCE_BATCHING_CONTROL_INPUT, 2),
  state: many(MODEL_SEQUENCE_BATCHING_STATE, 5),
  iterative_sequence: one('bool', 6),
});
const MODEL_ENSEMBLING_STEP = message('inference.ModelEnsembling.Step', {
  model_name: one('string', 1),
  model_version: one('long', 2),
  input_map: map('string', 3),
  output_map: map('string', 4),
  model_namespace: one('string', 5),
});
const MODEL_ENSEMBLING = message('inference.ModelEnsembling', {
  step: many(MODEL_ENSEMBLING_STEP, 1),
  max_inflight_requests: one('uint32', 2),
});
const MODEL_PARAMETER = message('inference.ModelParameter', { string_value: one('string', 1) });
const MODEL_WARMUP_INPUT = message('inference.ModelWarmup.Input', {
  data_type: one(DATA_TYPE, 1),
  dims: many('long', 2),
  zero_data: choice('input_data_type', 'bool', 3),
  random_data: choice('input_data_type', 'bool', 4),
  input_data_file: choice('input_data_type', 'string', 5),
});
const MODEL_WARMUP = message('inference.ModelWarmup', {
  name: one('string', 1),
  batch_size: one('uint32', 2),
  inputs: map(MODEL_WARMUP_INPUT, 3),
  count: one('uint32', 4),
});
const MODEL_OPERATIONS = message('inference.ModelOperations', { op_library_filename: many('string', 1) });
const MODEL_TRANSACTION_POLICY = message('inference.ModelTransactionPolicy', { decoupled: one('bool', 1) });
const MODEL_REPOSITORY_AGENTS_AGENT = message('inference.ModelRepositoryAgents.Agent', {
  name: one('string', 1),
  parameters: map('string', 2),
});
const MODEL_REPOSITORY_AGENTS = message('inference.ModelRepositoryAgents', { agents: many(MODEL_REPOSITORY_AGENTS_AGENT, 1) });
const MODEL_RESPONSE_CACHE = message('inference.ModelResponseCache', { enable: one('bool', 1) });
const MODEL_METRICS_METRIC_CONTROL_METRIC_IDENTIFIER = message('inference.ModelMetrics.MetricControl.MetricIdentifier', {
  family: one('string', 1),
});
const MODEL_METRICS_METRIC_CONTROL_HISTOGRAM_OPTIONS = message('inference.ModelMetrics.MetricControl.HistogramOptions', {
  buckets: many('double', 1),
});
const MODEL_METRICS_METRIC_CONTROL = message('inference.ModelMetrics.MetricControl', {
  metric_identifier: one(MODEL_METRICS_METRIC_CONTROL_METRIC_IDENTIFIER, 1),
  histogram_options: choice('metric_options', MODEL_METRICS_METRIC_CONTROL_HISTOGRAM_OPTIONS, 2),
});
const MODEL_METRICS = message('inference.ModelMetrics', { metric_control: many(MODEL_METRICS_METRIC_CONTROL, 1) });
export const MODEL_CONFIG = message('inference.ModelConfig', {
  name: one('string', 1),
  platform: one('string', 2),
  backend: one('string', 17),
  runtime: one('string', 25),
  version_policy: one(MODEL_VERSION_POLICY, 3),
  max_batch_size: one('int32', 4),
  input: many(MODEL_INPUT, 5),
  output: many(MODEL_OUTPUT, 6),
  batch_input: many(BATCH_INPUT, 20),
  batch_output: many(BATCH_OUTPUT, 21),
  optimization: one(MODEL_OPTIMIZATION_POLICY, 12),
  dynamic_batching: choice('scheduling_choice', MODEL_DYNAMIC_BATCHING, 11),
  sequence_batching: choice('scheduling_choice', MODEL_SEQUENCE_BATCHING, 13),
  ensemble_scheduling: choice('scheduling_choice', MODEL_ENSEMBLING, 15),
  instance_group: many(MODEL_INSTANCE_GROUP, 7),
  default_model_filename: one('string', 8),
  cc_model_filenames: map('string', 9),
  metric_tags: map('string', 10),
  parameters: map(MODEL_PARAMETER, 14),
  model_warmup: many(MODEL_WARMUP, 16),
  model_operations: one(MODEL_OPERATIONS, 18),
  model_transaction_policy: one(MODEL_TRANSACTION_POLICY, 19),
  model_repository_agents: one(MODEL_REPOSITORY_AGENTS, 23),
  response_cache: one(MODEL_RESPONSE_CACHE, 24),
  model_metrics: one(MODEL_METRICS, 26),
});

export const MODEL_CONFIG_PROTO: ProtoFile = {
  name: 'model_config.proto',
  package: 'inference',
  imports: [],
  messages: [
    MODEL_RATE_LIMITER_RESOURCE,
    MODEL_RATE_LIMITER,
    MODEL_INSTANCE_GROUP_SECONDARY_DEVICE,
    MODEL_INSTANCE_GROUP,
    MODEL_TENSOR_RESHAPE,
    MODEL_INPUT,
    MODEL_OUTPUT,
    BATCH_INPUT,
    BATCH_OUTPUT,
    MODEL_VERSION_POLICY_LATEST,
    MODEL_VERSION_POLICY_ALL,
    MODEL_VERSION_POLICY_SPECIFIC,
    MODEL_VERSION_POLICY,
    MODEL_OPTIMIZATION_POLICY_GRAPH,
    MODEL_OPTIMIZATION_POLICY_CUDA_GRAPH_SPEC_SHAPE,
    MODEL_OPTIMIZATION_POLICY_CUDA_GRAPH_SPEC_LOWER_BOUND,
    MODEL_OPTIMIZATION_POLICY_CUDA_GRAPH_SPEC,
    MODEL_OPTIMIZATION_POLICY_CUDA,
    MODEL_OPTIMIZATION_POLICY_EXECUTION_ACCELERATORS_ACCELERATOR,
    MODEL_OPTIMIZATION_POLICY_EXECUTION_ACCELERATORS,
    MODEL_OPTIMIZATION_POLICY_PINNED_MEMORY_BUFFER,
    MODEL_OPTIMIZATION_POLICY,
    MODEL_QUEUE_POLICY,
    MODEL_DYNAMIC_BATCHING,
    MODEL_SEQUENCE_BATCHING_CONTROL,
    MODEL_SEQUENCE_BATCHING_CONTROL_INPUT,
    MODEL_SEQUENCE_BATCHING_INITIAL_STATE,
    MODEL_SEQUENCE_BATCHING_STATE,
    MODEL_SEQUENCE_BATCHING_STRATEGY_DIRECT,
    MODEL_SEQUENCE_BATCHING_STRATEGY_OLDEST,
    MODEL_SEQUENCE_BATCHING,
    MODEL_ENSEMBLING_STEP,
    MODEL_ENSEMBLING,
    MODEL_PARAMETER,
    MODEL_WARMUP_INPUT,
    MODEL_WARMUP,
    MODEL_OPERATIONS,
    MODEL_TRANSACTION_POLICY,
    MODEL_REPOSITORY_AGENTS_AGENT,
    MODEL_REPOSITORY_AGENTS,
    MODEL_RESPONSE_CACHE,
    MODEL_METRICS_METRIC_CONTROL_METRIC_IDENTIFIER,
    MODEL_METRICS_METRIC_CONTROL_HISTOGRAM_OPTIONS,
    MODEL_METRICS_METRIC_CONTROL,
    MODEL_METRICS,
    MODEL_CONFIG,
  ],
  enums: [
    DATA_TYPE,
    MODEL_INSTANCE_GROUP_KIND,
    MODEL_INSTANCE_GROUP_SECONDARY_DEVICE_SECONDARY_DEVICE_KIND,
    MODEL_INPUT_FORMAT,
    BATCH_INPUT_KIND,
    BATCH_OUTPUT_KIND,
    MODEL_OPTIMIZATION_POLICY_MODEL_PRIORITY,
    MODEL_QUEUE_POLICY_TIMEOUT_ACTION,
    MODEL_SEQUENCE_BATCHING_CONTROL_KIND,
  ],
  services: [],
};
