import type { DeclaredSignature, FileSignature } from '#agent/inference/contract.js';
import type { BatchSettings, QueueSettings } from '#agent/inference/decide/batch-policy.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { describeSpec, describeType } from '#shared/tensor/check.js';
import { DATATYPES, type Datatype } from '#shared/tensor/datatype.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import type { ConfigQueuePolicy, ConfigTensor, ModelConfig } from '../config/model-config.js';

/** A tensor as clients see it and as the model file does. */
interface Pair {
  readonly offered: TensorSpec;
  readonly ofFile: TensorSpec;
}

/** What a configuration, or the file alone, says that clients send and get. Throws `STANDALONE_MISMATCH`. */
export function declaredSignature(config: ModelConfig, file: FileSignature): DeclaredSignature {
  const inputs = pairs('input', config, config.input, file.inputs);
  const outputs = pairs('output', config, config.output, file.outputs);
  const { max_batch_size: maxRows, dynamic_batching: dynamic } = config;
  const reshaped = [...inputs, ...outputs].some(({ offered, ofFile }) => offered.shape !== ofFile.shape);
  return {
    inputs: inputs.map(({ offered }) => offered),
    outputs: outputs.map(({ offered }) => offered),
    ...(maxRows === 0 ? {} : { maxRows }),
    ...(reshaped ? { inModel: { inputs: inputs.map(({ ofFile }) => ofFile), outputs: outputs.map(({ ofFile }) => ofFile) } } : {}),
    ...(dynamic === undefined ? {} : { batching: batchSettings(dynamic, maxRows) }),
  };
}

type DynamicBatching = NonNullable<ModelConfig['dynamic_batching']>;

function batchSettings(dynamic: DynamicBatching, maxRows: number): BatchSettings {
  const { default_queue_policy: usual, priority_queue_policy: byLevel } = dynamic;
  return {
    maxBatchSize: maxRows,
    preferredSizes: dynamic.preferred_batch_size.filter((size) => size <= maxRows),
    maxDelayMicros: dynamic.max_queue_delay_microseconds,
    preserveOrdering: dynamic.preserve_ordering,
    priorityLevels: dynamic.priority_levels,
    defaultPriorityLevel: dynamic.default_priority_level,
    ...(usual === undefined ? {} : { defaultQueuePolicy: queueSettings(usual) }),
    ...(Object.keys(byLevel).length === 0
      ? {}
      : { priorityQueuePolicies: Object.fromEntries(Object.entries(byLevel).map(([level, policy]) => [level, queueSettings(policy)])) }),
  };
}

function queueSettings(policy: ConfigQueuePolicy): QueueSettings {
  return {
    timeoutAction: policy.timeout_action === 'DELAY' ? 'delay' : 'reject',
    defaultTimeoutMicros: policy.default_timeout_microseconds,
    allowTimeoutOverride: policy.allow_timeout_override,
    maxQueueSize: policy.max_queue_size,
  };
}

function pairs(
  kind: 'input' | 'output',
  config: ModelConfig,
  configured: readonly ConfigTensor[],
  ofFile: readonly TensorSpec[],
): readonly Pair[] {
  const batched = config.max_batch_size > 0;
  if (configured.length === 0) return ofFile.map((spec) => ({ offered: checkedBatch(config, kind, spec, batched), ofFile: spec }));
  const names = configured.map(({ name }) => name);
  const problem = namesProblem(kind, names, ofFile);
  if (problem !== undefined) throw mismatch(config, problem);
  return configured.map((tensor) => {
    const found = ofFile.find(({ name }) => name === tensor.name);
    if (found === undefined) throw mismatch(config, `the file has no ${kind} ${tensor.name}`);
    return pairOf(kind, config, tensor, found);
  });
}

function namesProblem(kind: string, names: readonly string[], ofFile: readonly TensorSpec[]): string | undefined {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return `${kind} ${twice} is configured twice`;
  const known = new Set(names);
  // An output may be left out; an input may not: nobody could send it.
  const missing = kind === 'input' ? ofFile.find(({ name }) => !known.has(name)) : undefined;
  return missing === undefined ? undefined : `the file has an input that is not configured: ${describeSpec(missing)}`;
}

function pairOf(kind: 'input' | 'output', config: ModelConfig, tensor: ConfigTensor, found: TensorSpec): Pair {
  const rows = config.max_batch_size > 0 ? [-1] : [];
  const datatype = datatypeOf(tensor.data_type);
  if (datatype === undefined) throw mismatch(config, `${kind} ${tensor.name} has no data_type`);
  if (tensor.dims.length === 0) throw mismatch(config, `${kind} ${tensor.name} has no dims`);
  const offered = { name: tensor.name, datatype, shape: [...rows, ...tensor.dims] };
  if (tensor.reshape !== undefined) checkReshape(config, tensor.name, tensor.dims, tensor.reshape.shape);
  const inModel = tensor.reshape === undefined ? offered : { ...offered, shape: [...rows, ...tensor.reshape.shape] };
  // The runtime says [] of a scalar and of a tensor whose number of dimensions it does not know; models declare wrong shapes of outputs.
  const fits =
    kind === 'output' || found.shape.length === 0 || (found.shape.length === inModel.shape.length && found.shape.every(free(inModel)));
  if (found.datatype !== datatype || !fits) {
    throw mismatch(config, `${kind} ${tensor.name} is configured as ${describeType(inModel)}, and the file has ${describeType(found)}`);
  }
  if (rows.length > 0) checkedBatch(config, kind, found, true);
  return { offered, ofFile: inModel };
}

function free({ shape }: TensorSpec): (size: number, axis: number) => boolean {
  return (size, axis) => size === -1 || shape[axis] === -1 || size === shape[axis];
}

/** With a largest batch the first dimension is that of the batch, and has to be free. */
function checkedBatch(config: ModelConfig, kind: string, spec: TensorSpec, batched: boolean): TensorSpec {
  if (batched && spec.shape.length > 0 && spec.shape[0] !== -1) {
    throw mismatch(
      config,
      `max_batch_size is ${config.max_batch_size}, and ${kind} ${describeSpec(spec)} of the file has no free first dimension`,
    );
  }
  return spec;
}

/** As many elements on both sides, and as many free dimensions, which keep their order. */
function checkReshape(config: ModelConfig, name: string, dims: readonly number[], shape: readonly number[]): void {
  const fixed = (sizes: readonly number[]): number => sizes.filter((size) => size !== -1).reduce((product, size) => product * size, 1);
  const open = (sizes: readonly number[]): number => sizes.filter((size) => size === -1).length;
  if (fixed(dims) === fixed(shape) && open(dims) === open(shape)) return;
  throw mismatch(config, `reshape of ${name} has another number of elements than its dims`);
}

/** TYPE_FP32 is FP32, and TYPE_STRING is BYTES. */
export function datatypeOf(dataType: string): Datatype | undefined {
  const name = dataType === 'TYPE_STRING' ? 'BYTES' : dataType.replace(/^TYPE_/, '');
  return DATATYPES.find((datatype) => datatype === name);
}

function mismatch({ name }: ModelConfig, reason: string): SkerryError {
  return new SkerryError('STANDALONE_MISMATCH', `model ${name}: ${reason}`);
}
