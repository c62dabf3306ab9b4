import type { Worker } from 'node:worker_threads';
import { asSkerryError } from '#shared/kernel/errors.js';
import { spawnWorker } from '#shared/kernel/worker-entry.js';
import type { Carrier, CarrierEnd } from './carrier.js';
import type { FromInstance, ToInstance } from './instance-protocol.js';

/** Starts a worker thread for one instance. */
export function startThread(): Carrier {
  return new ThreadCarrier(spawnWorker('instance', new URL('./instance-worker.js', import.meta.url)));
}

class ThreadCarrier implements Carrier {
  readonly kind = 'thread';
  readonly #worker: Worker;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  post(message: ToInstance, move: readonly ArrayBuffer[]): void {
    this.#worker.postMessage(message, move);
  }

  listen(onMessage: (message: FromInstance) => void, onEnd: (end: CarrierEnd) => void): void {
    let thrown: unknown;
    this.#worker.on('message', onMessage);
    this.#worker.on('error', (cause) => {
      thrown = cause;
    });
    this.#worker.once('exit', (code) => {
      onEnd(thrown === undefined ? { how: `exit code ${code}` } : { how: asSkerryError(thrown).message, cause: thrown });
    });
  }

  /** Never `terminate()`: stopped inside the runtime, the thread aborts the process (an exception in a binding that no longer may call JavaScript). */
  abandon(): void {
    this.#worker.unref();
  }

  residentBytes(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  ownBytes(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}
