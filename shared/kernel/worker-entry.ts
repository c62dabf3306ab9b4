import { type MessagePort, parentPort, type Worker } from 'node:worker_threads';
import { keepNativePartsBelow, nativePartsHome } from './native-parts.js';
import { silenceOnnxRuntime } from './onnx-environment.js';
import type { WorkerName } from './worker-names.js';
import { startWorker } from './worker-start.js';

/** The first message to a worker thread. It may have been started before any of it was known. */
interface Begin<T> {
  readonly nativeParts: string | undefined;
  readonly options: T;
}

/**
 * Starts the worker thread `name` whose code lies at `url` (`new URL('./x-worker.js', import.meta.url)`), or wherever a
 * single-file build keeps it, and tells it what it is for: `options` go to its `beginWorker`.
 */
export function spawnWorker(name: WorkerName, url: URL, options?: unknown): Worker {
  silenceOnnxRuntime();
  const worker = startWorker(name, url);
  const begin: Begin<unknown> = { nativeParts: nativePartsHome(), options };
  worker.postMessage(begin, []);
  return worker;
}

/**
 * For the code of a worker thread: calls `begin` once it is known what the thread is for (`options` are those of its `spawnWorker`),
 * at once with a listener for the messages that follow to be put on `port`. Does nothing in a thread that nobody started as a worker.
 */
export function beginWorker(begin: (port: MessagePort, options: never) => void): void {
  const port = parentPort;
  port?.once('message', ({ nativeParts, options }: Begin<never>) => {
    if (nativeParts !== undefined) keepNativePartsBelow(nativeParts);
    begin(port, options);
  });
}
