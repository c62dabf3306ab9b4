import { getAsset } from 'node:sea';
import { Worker } from 'node:worker_threads';
import { type WorkerName, workerOptions } from '#shared/kernel/worker-names.js';
import { takeEarlyWorker } from './early-workers.js';
import { starterAsset } from './script-asset.js';

/** Stands in for shared/kernel/worker-start.ts in a single-file build: the code of every worker is in the executable. */
export function startWorker(name: WorkerName, _url: URL): Worker {
  return takeEarlyWorker(name) ?? startPackagedWorker(name);
}

export function startPackagedWorker(name: WorkerName): Worker {
  return new Worker(getAsset(starterAsset(name), 'utf8'), { ...workerOptions(name), eval: true });
}
