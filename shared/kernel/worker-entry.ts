import { Worker, type WorkerOptions } from 'node:worker_threads';
import { silenceOnnxRuntime } from './onnx-environment.js';
import { workerSource } from './worker-source.js';

/** Every kind of worker thread in the project. A single-file build embeds one program for each name. */
export const WORKER_NAMES = ['instance', 'store', 'sign'] as const;
export type WorkerName = (typeof WORKER_NAMES)[number];

/**
 * Starts the worker thread `name` whose code lies at `url` (`new URL('./x-worker.js', import.meta.url)`), or wherever a
 * single-file build keeps it. The thread is called `skerry-<name>` in diagnostics.
 */
export function spawnWorker(name: WorkerName, url: URL, options: Omit<WorkerOptions, 'eval' | 'name'> = {}): Worker {
  silenceOnnxRuntime();
  const source = workerSource(name, url);
  const named = { ...options, name: `skerry-${name}` };
  return source.kind === 'file' ? new Worker(source.url, named) : new Worker(source.code, { ...named, eval: true });
}
