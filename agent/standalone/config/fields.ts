/** Types of a value in Triton's ModelConfig, as far as reading them needs it. */
export type FieldType = 'string' | 'bool' | 'int' | 'float' | readonly string[] | MessageType;

/** One field: once, as a list, or as a map from strings. `oneOf`: at most one of the fields with this word may be there. */
export interface FieldRow {
  readonly type: FieldType;
  readonly many?: 'list' | 'map';
  readonly oneOf?: string;
}

/** A message by the names of its fields, in the order of the .proto file. */
export interface MessageType {
  readonly fields: Readonly<Record<string, FieldRow>>;
}

const message = (fields: MessageType['fields']): MessageType => ({ fields });
const one = (type: FieldType): FieldRow => ({ type });
const list = (type: FieldType): FieldRow => ({ type, many: 'list' });
const map = (type: FieldType): FieldRow => ({ type, many: 'map' });
const choice = (oneOf: string, type: FieldType): FieldRow => ({ type, oneOf });

const [string, bool, int, float] = ['string', 'bool', 'int', 'float'] as const;
const NOTHING = message({});

const DATA_TYPE = [
  'TYPE_INVALID',
  ...['BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64', 'FP16', 'FP32', 'FP64', 'STRING', 'BF16'].map(
    (name) => `TYPE_${name}`,
  ),
];
const RESHAPE = message({ shape: list(int) });

const INPUT = message({
  name: one(string),
  data_type: one(DATA_TYPE),
  format: one(['FORMAT_NONE', 'FORMAT_NHWC', 'FORMAT_NCHW']),
  dims: list(int),
  reshape: one(RESHAPE),
  is_shape_tensor: one(bool),
  allow_ragged_batch: one(bool),
  optional: one(bool),
  is_non_linear_format_io: one(bool),
});

const OUTPUT = message({
  name: one(string),
  data_type: one(DATA_TYPE),
  dims: list(int),
  reshape: one(RESHAPE),
  label_filename: one(string),
  is_shape_tensor: one(bool),
  is_non_linear_format_io: one(bool),
});

const BATCH_INPUT = message({
  kind: one([
    'BATCH_ELEMENT_COUNT',
    'BATCH_ACCUMULATED_ELEMENT_COUNT',
    'BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO',
    'BATCH_MAX_ELEMENT_COUNT_AS_SHAPE',
    'BATCH_ITEM_SHAPE',
    'BATCH_ITEM_SHAPE_FLATTEN',
  ]),
  target_name: list(string),
  data_type: one(DATA_TYPE),
  source_input: list(string),
});
const BATCH_OUTPUT = message({
  target_name: list(string),
  kind: one(['BATCH_SCATTER_WITH_INPUT_SHAPE']),
  source_input: list(string),
});

const VERSION_POLICY = message({
  latest: choice('policy', message({ num_versions: one(int) })),
  all: choice('policy', NOTHING),
  specific: choice('policy', message({ versions: list(int) })),
});

const SHAPE_PARAMETERS = message({ dim: list(int) });
const PINNED = message({ enable: one(bool) });
const ACCELERATOR = message({ name: one(string), parameters: map(string) });
const OPTIMIZATION = message({
  graph: one(message({ level: one(int) })),
  priority: one(['PRIORITY_DEFAULT', 'PRIORITY_MAX', 'PRIORITY_MIN']),
  cuda: one(
    message({
      graphs: one(bool),
      busy_wait_events: one(bool),
      graph_spec: list(
        message({
          batch_size: one(int),
          input: map(SHAPE_PARAMETERS),
          graph_lower_bound: one(message({ batch_size: one(int), input: map(SHAPE_PARAMETERS) })),
        }),
      ),
      output_copy_stream: one(bool),
    }),
  ),
  execution_accelerators: one(message({ gpu_execution_accelerator: list(ACCELERATOR), cpu_execution_accelerator: list(ACCELERATOR) })),
  input_pinned_memory: one(PINNED),
  output_pinned_memory: one(PINNED),
  gather_kernel_buffer_threshold: one(int),
  eager_batching: one(bool),
});

const QUEUE_POLICY = message({
  timeout_action: one(['REJECT', 'DELAY']),
  default_timeout_microseconds: one(int),
  allow_timeout_override: one(bool),
  max_queue_size: one(int),
});
const DYNAMIC_BATCHING = message({
  preferred_batch_size: list(int),
  max_queue_delay_microseconds: one(int),
  preserve_ordering: one(bool),
  priority_levels: one(int),
  default_priority_level: one(int),
  default_queue_policy: one(QUEUE_POLICY),
  priority_queue_policy: map(QUEUE_POLICY),
});

const CONTROL = message({
  kind: one(['CONTROL_SEQUENCE_START', 'CONTROL_SEQUENCE_READY', 'CONTROL_SEQUENCE_END', 'CONTROL_SEQUENCE_CORRID']),
  int32_false_true: list(int),
  fp32_false_true: list(float),
  bool_false_true: list(bool),
  data_type: one(DATA_TYPE),
});
const STATE = message({
  input_name: one(string),
  output_name: one(string),
  data_type: one(DATA_TYPE),
  dims: list(int),
  initial_state: list(
    message({
      data_type: one(DATA_TYPE),
      dims: list(int),
      zero_data: choice('data', bool),
      data_file: choice('data', string),
      name: one(string),
    }),
  ),
  use_same_buffer_for_input_output: one(bool),
  use_growable_memory: one(bool),
});
const SEQUENCE_BATCHING = message({
  direct: choice('strategy', message({ max_queue_delay_microseconds: one(int), minimum_slot_utilization: one(float) })),
  oldest: choice(
    'strategy',
    message({
      max_candidate_sequences: one(int),
      preferred_batch_size: list(int),
      max_queue_delay_microseconds: one(int),
      preserve_ordering: one(bool),
    }),
  ),
  max_sequence_idle_microseconds: one(int),
  control_input: list(message({ name: one(string), control: list(CONTROL) })),
  state: list(STATE),
  iterative_sequence: one(bool),
});

const ENSEMBLE = message({
  step: list(
    message({
      model_name: one(string),
      model_version: one(int),
      input_map: map(string),
      output_map: map(string),
      model_namespace: one(string),
    }),
  ),
});

const INSTANCE_GROUP = message({
  name: one(string),
  kind: one(['KIND_AUTO', 'KIND_GPU', 'KIND_CPU', 'KIND_MODEL']),
  count: one(int),
  rate_limiter: one(message({ resources: list(message({ name: one(string), global: one(bool), count: one(int) })), priority: one(int) })),
  gpus: list(int),
  secondary_devices: list(message({ kind: one(['KIND_NVDLA']), device_id: one(int) })),
  profile: list(string),
  passive: one(bool),
  host_policy: one(string),
});

const WARMUP_INPUT = message({
  data_type: one(DATA_TYPE),
  dims: list(int),
  zero_data: choice('data', bool),
  random_data: choice('data', bool),
  input_data_file: choice('data', string),
});

const HISTOGRAM = message({ buckets: list(float) });

/** ModelConfig (triton-inference-server/common, protobuf/model_config.proto). */
export const MODEL_CONFIG: MessageType = message({
  name: one(string),
  platform: one(string),
  backend: one(string),
  runtime: one(string),
  version_policy: one(VERSION_POLICY),
  max_batch_size: one(int),
  input: list(INPUT),
  output: list(OUTPUT),
  batch_input: list(BATCH_INPUT),
  batch_output: list(BATCH_OUTPUT),
  optimization: one(OPTIMIZATION),
  dynamic_batching: choice('scheduling', DYNAMIC_BATCHING),
  sequence_batching: choice('scheduling', SEQUENCE_BATCHING),
  ensemble_scheduling: choice('scheduling', ENSEMBLE),
  instance_group: list(INSTANCE_GROUP),
  default_model_filename: one(string),
  cc_model_filenames: map(string),
  metric_tags: map(string),
  parameters: map(message({ string_value: one(string) })),
  model_warmup: list(message({ name: one(string), batch_size: one(int), inputs: map(WARMUP_INPUT), count: one(int) })),
  model_operations: one(message({ op_library_filename: list(string) })),
  model_transaction_policy: one(message({ decoupled: one(bool) })),
  model_repository_agents: one(message({ agents: list(message({ name: one(string), parameters: map(string) })) })),
  response_cache: one(message({ enable: one(bool) })),
  model_metrics: one(
    message({
      metric_control: list(
        message({ metric_identifier: one(message({ family: one(string) })), histogram_options: choice('options', HISTOGRAM) }),
      ),
    }),
  ),
});
