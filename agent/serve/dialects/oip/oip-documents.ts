import type { ServableStatus } from '#agent/inference/contract.js';
import type { BatchTotals, ComputeTotals, ServableStatistics } from '#agent/inference/statistics/servable-statistics.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import type { RepositoryEntry } from '../../repository.js';

// What the protocol tells of server and models: the JSON of its HTTP form, whose fields are those of its gRPC messages.

const SERVER_NAME = 'skerry';

/** Extensions of the protocol, by the names that clients look for. */
const EXTENSIONS: readonly string[] = [
  'classification',
  'model_repository',
  'model_repository(unload_dependents)',
  'model_configuration',
  'system_shared_memory',
  'binary_tensor_data',
  'parameters',
  'statistics',
  'trace',
  'logging',
];

export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

/** "Server Metadata Response JSON Object". */
export function serverMetadata(version: string): ServerMetadata {
  return { name: SERVER_NAME, version, extensions: EXTENSIONS };
}

interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** Ours: any number of dimensions will do. */
  readonly any_shape?: true;
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** "Model Metadata Response JSON Object". */
export function modelMetadata(status: ServableStatus, versions: readonly number[]): ModelMetadata {
  // The protocol has no form for "any shape": -1 is what comes nearest, and a member of ours tells the rest.
  const describe = ({ name, datatype, shape, anyShape }: TensorSpec): TensorMetadata =>
    anyShape === true ? { name, datatype, shape: [-1], any_shape: true } : { name, datatype, shape };
  return {
    name: status.model,
    versions: versions.map(String),
    platform: 'onnxruntime_onnx',
    inputs: status.inputs.map(describe),
    outputs: status.outputs.map(describe),
  };
}

/** Nothing is cached, so nothing was ever found or missed in a cache. */
const NONE = { count: 0, ns: 0 } as const;

/** Triton's statistics extension, "Statistics Response JSON Object". */
export function statisticsDocument(statistics: readonly ServableStatistics[]) {
  return { model_stats: statistics.map(modelStatistics) };
}

function modelStatistics({ model, version, success, fail, queue, batches, ...totals }: ServableStatistics) {
  return {
    name: model,
    version: String(version),
    last_inference: totals.lastInference,
    inference_count: totals.inferenceCount,
    execution_count: totals.executionCount,
    inference_stats: { success, fail, queue, ...compute(totals), cache_hit: NONE, cache_miss: NONE },
    response_stats: {},
    batch_stats: batches.map((batch: BatchTotals) => ({ batch_size: batch.batchSize, ...compute(batch) })),
    memory_usage: [],
  };
}

function compute({ computeInput, computeInfer, computeOutput }: ComputeTotals) {
  return { compute_input: computeInput, compute_infer: computeInfer, compute_output: computeOutput };
}

/** Triton's model repository extension, "Index Response JSON Object"; a model that was never asked to load has its name alone. */
export function repositoryIndex(entries: readonly RepositoryEntry[], readyOnly: boolean) {
  return entries
    .filter(({ state }) => !readyOnly || state === 'READY')
    .map(({ name, version, state, reason }) =>
      version === undefined ? { name } : { name, version: String(version), state, ...(reason === undefined ? {} : { reason }) },
    );
}
