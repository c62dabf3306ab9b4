import { z } from 'zod';
import { narrow } from '#shared/kernel/json.js';
import { type ConfigDocument, filled } from './document.js';

const shape = z
  .array(
    z
      .int()
      .min(-1)
      .max(2 ** 31),
  )
  .max(64);
const tensor = z.object({
  name: z.string().min(1).max(1024),
  data_type: z.string(),
  dims: shape,
  reshape: z.object({ shape }).optional(),
  is_shape_tensor: z.boolean(),
  is_non_linear_format_io: z.boolean(),
});
const input = tensor.extend({ format: z.string(), allow_ragged_batch: z.boolean(), optional: z.boolean() });
const output = tensor.extend({ label_filename: z.string() });
const size = z.int().min(0);

const queuePolicy = z.object({
  timeout_action: z.enum(['REJECT', 'DELAY']),
  default_timeout_microseconds: size,
  allow_timeout_override: z.boolean(),
  max_queue_size: size,
});

const modelConfigSchema = z.object({
  name: z.string(),
  platform: z.string(),
  backend: z.string(),
  runtime: z.string(),
  version_policy: z.object({
    latest: z.object({ num_versions: z.int().min(1) }).optional(),
    all: z.object({}).optional(),
    specific: z.object({ versions: z.array(z.int().min(1)) }).optional(),
  }),
  max_batch_size: z.int().min(0).max(1_000_000),
  input: z.array(input).max(4096),
  output: z.array(output).max(4096),
  batch_input: z.array(z.unknown()),
  batch_output: z.array(z.unknown()),
  optimization: z.object({
    graph: z.object({ level: z.int() }).optional(),
    priority: z.string(),
    cuda: z.object({}).optional(),
    execution_accelerators: z
      .object({ gpu_execution_accelerator: z.array(z.unknown()), cpu_execution_accelerator: z.array(z.unknown()) })
      .optional(),
    eager_batching: z.boolean(),
    gather_kernel_buffer_threshold: size,
  }),
  dynamic_batching: z
    .object({
      preferred_batch_size: z.array(z.int().min(1)).max(1024),
      max_queue_delay_microseconds: size,
      preserve_ordering: z.boolean(),
      priority_levels: z.int().min(0).max(256),
      default_priority_level: size,
      default_queue_policy: queuePolicy.optional(),
      priority_queue_policy: z.record(z.string(), queuePolicy),
    })
    .optional(),
  sequence_batching: z.object({}).optional(),
  ensemble_scheduling: z.object({}).optional(),
  instance_group: z.array(
    z.object({
      kind: z.string(),
      count: z.int().min(1).max(64),
      rate_limiter: z.object({}).optional(),
      gpus: z.array(z.int()),
      secondary_devices: z.array(z.unknown()),
      profile: z.array(z.string()),
      passive: z.boolean(),
      host_policy: z.string(),
    }),
  ),
  default_model_filename: z.string().max(255),
  cc_model_filenames: z.record(z.string(), z.string()),
  metric_tags: z.record(z.string(), z.string()),
  parameters: z.record(z.string(), z.unknown()),
  model_warmup: z
    .array(
      z.object({
        name: z.string(),
        batch_size: z.int().min(0).max(1_000_000),
        inputs: z.record(
          z.string(),
          z.object({
            data_type: z.string(),
            dims: shape,
            zero_data: z.boolean().optional(),
            random_data: z.boolean().optional(),
            input_data_file: z.string().optional(),
          }),
        ),
        count: z.int().min(0).max(10_000),
      }),
    )
    .max(256),
  model_operations: z.object({ op_library_filename: z.array(z.string()) }).optional(),
  model_transaction_policy: z.object({ decoupled: z.boolean() }).optional(),
  model_repository_agents: z.object({ agents: z.array(z.unknown()) }).optional(),
  response_cache: z.object({ enable: z.boolean() }).optional(),
  model_metrics: z.object({}).optional(),
});

/** What serving a model goes by. */
export type ModelConfig = z.infer<typeof modelConfigSchema>;
export type ConfigQueuePolicy = z.infer<typeof queuePolicy>;
export type ConfigTensor = ModelConfig['output'][number] | ModelConfig['input'][number];

/** A configuration with everything that Triton fills in: what goes out as JSON, and the same to work with. */
export interface CompleteConfig {
  readonly document: ConfigDocument;
  readonly config: ModelConfig;
}

/** Fills in what was not given, as Triton does. Errors: `STANDALONE_CONFIG` for numbers out of range. */
export function completeConfig(
  given: ConfigDocument,
  { name, instances }: { readonly name: string; readonly instances: number },
): CompleteConfig {
  const plain = filled(withDefaults({ ...given, name: nameOf(given, name) }, instances));
  const config = narrow(modelConfigSchema, plain, `the configuration of model ${name}`, 'STANDALONE_CONFIG');
  return { document: plain, config };
}

function nameOf(given: ConfigDocument, name: string): unknown {
  return given['name'] === undefined || given['name'] === '' ? name : given['name'];
}

const PINNED = { enable: true };

function withDefaults(given: ConfigDocument, instances: number): ConfigDocument {
  const { platform = '', backend = '', default_model_filename: file = '' } = given;
  const onnx = (platform === '' || platform === PLATFORM) && (backend === '' || backend === BACKEND);
  return {
    version_policy: { latest: { num_versions: 1 } },
    ...given,
    ...(onnx ? { platform: PLATFORM, backend: BACKEND, default_model_filename: file === '' ? MODEL_FILE : file } : {}),
    optimization: { input_pinned_memory: PINNED, output_pinned_memory: PINNED, ...asDocument(given['optimization']) },
    ...batching(given),
    instance_group: instanceGroups(given, instances),
  };
}

export const PLATFORM = 'onnxruntime_onnx';
export const BACKEND = 'onnxruntime';
export const MODEL_FILE = 'model.onnx';

function batching(given: ConfigDocument): ConfigDocument {
  const dynamic = given['dynamic_batching'];
  if (dynamic === undefined) return {};
  const preferred = asDocument(dynamic)['preferred_batch_size'];
  const largest = given['max_batch_size'];
  const unset = !Array.isArray(preferred) || preferred.length === 0;
  return {
    dynamic_batching: {
      ...asDocument(dynamic),
      ...(unset && typeof largest === 'number' && largest > 0 ? { preferred_batch_size: [largest] } : {}),
    },
  };
}

/** Groups without a kind or a count are what this device has: processors, and instances as the setting says. */
function instanceGroups(given: ConfigDocument, instances: number): readonly ConfigDocument[] {
  const listed = given['instance_group'];
  const groups: readonly unknown[] = Array.isArray(listed) && listed.length > 0 ? listed : [{}];
  return groups.map((entry, index) => {
    const group = asDocument(entry);
    const { name = '', kind = 'KIND_AUTO', count = 0 } = group;
    return {
      ...group,
      name: name === '' ? `${String(given['name'])}_${index}` : name,
      kind: kind === 'KIND_AUTO' ? 'KIND_CPU' : kind,
      count: count === 0 ? instances : count,
    };
  });
}

function asDocument(value: unknown): ConfigDocument {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
