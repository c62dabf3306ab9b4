import { MODEL_CONFIG } from '#shared/protobuf/inference/model-config-proto.js';
import { fromJson } from '#shared/protobuf/json.js';
import type { MessageInit } from '#shared/protobuf/schema.js';
import type { DurationTotal, ServableStatistics } from '#agent/inference/statistics/servable-statistics.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import type { GRPC_INFERENCE_SERVICE } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { DialectDeps } from '../../../dialect.js';
import { isAbsence } from './grpc-infer.js';
import { namedTarget } from './grpc-target.js';

type Rpcs = (typeof GRPC_INFERENCE_SERVICE)['rpcs'];
type AnswerOf<Name extends keyof Rpcs> = MessageInit<Rpcs[Name]['answer']>;

/** Which model, and perhaps which version of it, a message is about. */
interface Named {
  readonly name: string;
  readonly version: string;
}

/** "ModelReady": a model that is not there is not ready, which is no error. */
export function modelReady({ models }: DialectDeps, { name, version: text }: Named): AnswerOf<'ModelReady'> {
  const { version } = namedTarget(ANY_NAME, text);
  try {
    const { model } = namedTarget(name, '');
    return { ready: models.find(model, version).state === 'available' };
  } catch (cause) {
    if (isAbsence(cause)) return { ready: false };
    throw cause;
  }
}

const ANY_NAME = 'a';

/** "ModelMetadata": of all versions that are available, or of the one named. */
export function modelMetadata({ models }: DialectDeps, { name, version: text }: Named): AnswerOf<'ModelMetadata'> {
  const { model, version } = namedTarget(name, text);
  const { inputs, outputs, version: found } = models.find(model, version);
  const available = models.list().filter((status) => status.model === model && status.state === 'available');
  // The protocol has no form for "any shape": -1 is what comes nearest.
  const describe = ({
    name: tensor,
    datatype,
    shape,
    anyShape,
  }: TensorSpec): { name: string; datatype: string; shape: readonly number[] } => ({
    name: tensor,
    datatype,
    shape: anyShape === true ? [-1] : shape,
  });
  return {
    name,
    versions: version === undefined ? available.map((status) => String(status.version)) : [String(found)],
    platform: 'onnxruntime_onnx',
    inputs: inputs.map(describe),
    outputs: outputs.map(describe),
  };
}

/** "ModelConfig". */
export function modelConfig({ repository }: DialectDeps, { name, version: text }: Named): AnswerOf<'ModelConfig'> {
  const { model, version } = namedTarget(name, text);
  return { config: fromJson(MODEL_CONFIG, repository.config(model, version)) };
}

/** "ModelStatistics": of every model where none is named. */
export function modelStatistics({ models }: DialectDeps, { name, version: text }: Named): AnswerOf<'ModelStatistics'> {
  if (name === '') return { model_stats: models.statistics().map(describeStatistics) };
  const { model, version } = namedTarget(name, text);
  return { model_stats: models.statistics(model, version).map(describeStatistics) };
}

function describeStatistics(statistics: ServableStatistics): NonNullable<AnswerOf<'ModelStatistics'>['model_stats']>[number] {
  const { model, version, success, fail, queue } = statistics;
  return {
    name: model,
    version: String(version),
    last_inference: statistics.lastInference,
    inference_count: statistics.inferenceCount,
    execution_count: statistics.executionCount,
    inference_stats: { success, fail, queue, ...computeOf(statistics), cache_hit: NEVER, cache_miss: NEVER },
    batch_stats: statistics.batches.map((batch) => ({ batch_size: batch.batchSize, ...computeOf(batch) })),
  };
}

const NEVER: DurationTotal = { count: 0, ns: 0 };

function computeOf({ computeInput, computeInfer, computeOutput }: ServableStatistics | ServableStatistics['batches'][number]): {
  readonly compute_input: DurationTotal;
  readonly compute_infer: DurationTotal;
  readonly compute_output: DurationTotal;
} {
  return { compute_input: computeInput, compute_infer: computeInfer, compute_output: computeOutput };
}
