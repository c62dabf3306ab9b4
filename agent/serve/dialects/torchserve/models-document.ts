import type { ServableStatus } from '#agent/inference/contract.js';
import type { ModelConfigDocument } from '../../repository.js';
import { versionText } from './versions.js';

const WORKER_STATES: Readonly<Record<ServableStatus['state'], string>> = {
  loading: 'LOADING',
  warming: 'LOADING',
  available: 'READY',
  draining: 'UNLOADING',
  failed: 'UNLOADED',
  unloaded: 'UNLOADED',
};

/** What is the same for every model here. */
const CONSTANTS = {
  runtime: 'onnxruntime',
  parallelType: '',
  parallelLevel: 0,
  continuousBatching: false,
  useJobTicket: false,
  useVenv: false,
  stateful: false,
};

/** A version as TorchServe describes a model. Its workers are ours: the instances of a version appear as one. */
export function modelDocument(status: ServableStatus, config: ModelConfigDocument): object {
  const { model, version, state, memoryBytes = 0, inFlight, provider = 'cpu', asleep = false } = status;
  const worker = { id: String(version), status: WORKER_STATES[state], memoryUsage: memoryBytes, pid: process.pid };
  const gpu = provider !== 'cpu';
  const batch = config['max_batch_size'];
  return {
    modelName: model,
    modelVersion: versionText(version),
    modelUrl: model,
    minWorkers: asleep ? 0 : 1,
    maxWorkers: 1,
    batchSize: typeof batch === 'number' && batch > 1 ? batch : 1,
    deviceType: gpu ? 'gpu' : 'cpu',
    ...CONSTANTS,
    // As TorchServe shows a model that is scaled to zero.
    workers: asleep ? [] : [{ ...worker, gpu, gpuUsage: 'N/A' }],
    jobQueueStatus: { pendingRequests: inFlight },
  };
}

/** A model that is registered and has no worker. */
export function idleModelDocument(model: string): object {
  return { modelName: model, modelUrl: model, minWorkers: 0, maxWorkers: 0, batchSize: 1, ...CONSTANTS, workers: [] };
}
