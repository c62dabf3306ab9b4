import { Worker } from 'node:worker_threads';
import { type WorkerName, workerOptions } from './worker-names.js';

/**
 * Starts the worker thread `name`, whose code lies at `url`. This module is the one a single-file build puts another in place of
 * (at bundling, so nothing is registered while running): there the code is in the executable, looked up by name.
 */
export function startWorker(name: WorkerName, url: URL): Worker {
  return new Worker(url, workerOptions(name));
}
