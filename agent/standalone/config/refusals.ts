import { SkerryError } from '#shared/kernel/errors.js';
import { BACKEND, type ConfigQueuePolicy, type ModelConfig, PLATFORM } from './model-config.js';

interface Refusal {
  /** What is asked for, or undefined when it is not. */
  readonly asked: (config: ModelConfig) => string | undefined;
  readonly why: string;
}

const when = (holds: boolean, what: string): string | undefined => (holds ? what : undefined);
const found = (name: string | undefined, what: (name: string) => string): string | undefined =>
  name === undefined ? undefined : what(name);

/** What a configuration can ask for and is not here. Each is refused by its name; none is passed over. */
type DynamicBatching = NonNullable<ModelConfig['dynamic_batching']>;

const isLevel = (level: number, levels: number): boolean => level >= 1 && level <= levels;

function policiesOf({ default_queue_policy: usual, priority_queue_policy: byLevel }: DynamicBatching): readonly ConfigQueuePolicy[] {
  return [...(usual === undefined ? [] : [usual]), ...Object.values(byLevel)];
}

const delays = ({ timeout_action: action, default_timeout_microseconds: timeout }: ConfigQueuePolicy): boolean =>
  action === 'DELAY' && timeout > 0;

const REFUSALS: readonly Refusal[] = [
  {
    asked: ({ backend }) => when(backend !== '' && backend !== BACKEND, `backend ${JSON.stringify(backend)}`),
    why: `only models in ONNX form run here; the backend is "${BACKEND}"`,
  },
  { asked: ({ ensemble_scheduling: value }) => when(value !== undefined, 'ensemble_scheduling'), why: 'ensembles are not supported' },
  {
    asked: ({ platform }) => when(platform !== '' && platform !== PLATFORM, `platform ${JSON.stringify(platform)}`),
    why: `only models in ONNX form run here; the platform is "${PLATFORM}"`,
  },
  { asked: ({ runtime }) => when(runtime !== '', 'runtime'), why: 'a model cannot bring its own runtime' },
  {
    asked: ({ sequence_batching: value }) => when(value !== undefined, 'sequence_batching'),
    why: 'requests of a sequence cannot be kept together yet',
  },
  {
    asked: ({ model_transaction_policy: policy }) => when(policy?.decoupled === true, 'model_transaction_policy.decoupled'),
    why: 'a model here gives one answer to one request',
  },
  {
    asked: ({ instance_group: groups }) =>
      found(groups.find(({ kind }) => kind !== 'KIND_CPU')?.kind, (kind) => `instance_group.kind ${kind}`),
    why: 'instances run on the processor: KIND_CPU or KIND_AUTO',
  },
  {
    asked: ({ instance_group: groups }) =>
      when(
        groups.some(
          (group) =>
            group.gpus.length > 0 ||
            group.secondary_devices.length > 0 ||
            group.profile.length > 0 ||
            group.passive ||
            group.host_policy !== '' ||
            group.rate_limiter !== undefined,
        ),
        'gpus, secondary_devices, profile, passive, host_policy or rate_limiter of an instance_group',
      ),
    why: 'instances differ only in their number',
  },
  { asked: ({ batch_input: list }) => when(list.length > 0, 'batch_input'), why: 'inputs are those of the model file' },
  { asked: ({ batch_output: list }) => when(list.length > 0, 'batch_output'), why: 'outputs are those of the model file' },
  {
    asked: ({ input }) => found(input.find((one) => one.allow_ragged_batch)?.name, (name) => `allow_ragged_batch of input ${name}`),
    why: 'requests that share a run have equal shapes',
  },
  {
    asked: ({ input }) => found(input.find((one) => one.optional)?.name, (name) => `optional of input ${name}`),
    why: "the runtime's binding cannot leave an input out",
  },
  {
    asked: ({ input, output }) =>
      found(
        [...input, ...output].find((one) => one.is_shape_tensor || one.is_non_linear_format_io)?.name,
        (name) => `is_shape_tensor or is_non_linear_format_io of ${name}`,
      ),
    why: 'they are for TensorRT',
  },
  {
    asked: ({ optimization: { cuda } }) => when(cuda !== undefined, 'optimization.cuda'),
    why: 'models run on the processor',
  },
  {
    asked: ({ optimization: { execution_accelerators: asked } }) =>
      when(
        asked !== undefined && asked.gpu_execution_accelerator.length + asked.cpu_execution_accelerator.length > 0,
        'optimization.execution_accelerators',
      ),
    why: 'there are no accelerators to choose from',
  },
  {
    asked: ({ optimization: { graph, priority, eager_batching: eager, gather_kernel_buffer_threshold: gather } }) =>
      when(
        (graph !== undefined && graph.level !== 0) || priority !== 'PRIORITY_DEFAULT' || eager || gather > 0,
        'graph, priority, eager_batching or gather_kernel_buffer_threshold of optimization',
      ),
    why: 'there is one way of running a model',
  },
  {
    asked: ({ dynamic_batching: dynamic }) =>
      when(
        dynamic !== undefined && dynamic.priority_levels > 0 && !isLevel(dynamic.default_priority_level, dynamic.priority_levels),
        'dynamic_batching.default_priority_level',
      ),
    why: 'it must be one of the priority_levels',
  },
  {
    asked: ({ dynamic_batching: dynamic }) =>
      when(
        dynamic !== undefined &&
          Object.keys(dynamic.priority_queue_policy).some((level) => !isLevel(Number(level), dynamic.priority_levels)),
        'dynamic_batching.priority_queue_policy',
      ),
    why: 'it must be for one of the priority_levels',
  },
  {
    asked: ({ dynamic_batching: dynamic }) =>
      when(
        dynamic?.preserve_ordering === true && (dynamic.priority_levels > 1 || policiesOf(dynamic).some(delays)),
        'dynamic_batching.preserve_ordering',
      ),
    why: 'levels of priority, and the timeout action DELAY, change the order of requests',
  },
  {
    asked: ({ dynamic_batching: dynamic, max_batch_size: largest }) => when(dynamic !== undefined && largest === 0, 'dynamic_batching'),
    why: 'it needs a max_batch_size of at least 1',
  },
  {
    asked: ({ default_model_filename: file }) => when(/[\\/]|^\.\.?$/.test(file), 'default_model_filename'),
    why: 'it must name a file in the folder of the version',
  },
  { asked: ({ cc_model_filenames: files }) => when(Object.keys(files).length > 0, 'cc_model_filenames'), why: 'they are for CUDA' },
  { asked: ({ metric_tags: tags }) => when(Object.keys(tags).length > 0, 'metric_tags'), why: 'metrics are labelled by model and version' },
  {
    asked: ({ parameters }) => found(Object.keys(parameters)[0], (name) => `parameter ${JSON.stringify(name.slice(0, 100))}`),
    why: 'no parameters are known',
  },
  {
    asked: ({ model_operations: operations }) => when((operations?.op_library_filename.length ?? 0) > 0, 'model_operations'),
    why: 'libraries of operators are not loaded',
  },
  {
    asked: ({ model_repository_agents: agents }) => when((agents?.agents.length ?? 0) > 0, 'model_repository_agents'),
    why: 'there are no repository agents',
  },
  { asked: ({ response_cache: cache }) => when(cache?.enable === true, 'response_cache'), why: 'answers are not cached' },
  { asked: ({ model_metrics: metrics }) => when(metrics !== undefined, 'model_metrics'), why: 'the buckets of metrics are fixed' },
];

/** Throws `STANDALONE_UNSUPPORTED` for the first thing that a configuration asks for and is not here. */
export function refuseUnsupported(config: ModelConfig): void {
  for (const { asked, why } of REFUSALS) {
    const what = asked(config);
    if (what !== undefined) throw new SkerryError('STANDALONE_UNSUPPORTED', `model ${config.name}: ${what} is not supported: ${why}`);
  }
}

/** Instances that a configuration asks for. */
export function instancesOf(groups: ModelConfig['instance_group']): number {
  return groups.reduce((sum, { count }) => sum + count, 0);
}
