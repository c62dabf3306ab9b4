import type { Worker } from 'node:worker_threads';
import { fromErrorBody, hasCode, SkerryError } from '#shared/kernel/errors.js';
import { spawnWorker } from '#shared/kernel/worker-entry.js';
import type { CallArguments, CallName, CallResult, StoreMessage, StoreThreadOptions } from './calls.js';
import type { Boot } from './contract.js';

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: SkerryError) => void;
}

interface StoreOpening {
  readonly thread: StoreThread;
  readonly boot: Boot;
  readonly recovery?: { readonly error: SkerryError; readonly movedTo: string };
}

/** The main thread's end of the store thread: typed calls, answered in any order. */
export class StoreThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #failureListeners = new Set<(error: SkerryError) => void>();
  #ended: SkerryError | undefined;
  #closing: Promise<void> | undefined;
  #nextId = 1;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** Starts the thread and waits until the database is open. Rejects with `STORE_LOCKED`, `STORE_NEWER`, `DISK_FULL`, `STORE_FAILED`. */
  static async open(options: StoreThreadOptions): Promise<StoreOpening> {
    const worker = spawnWorker('store', new URL('./store-worker.js', import.meta.url), options);
    const thread = new StoreThread(worker);
    return new Promise((resolve, reject) => {
      worker.on('message', (message: StoreMessage<never>) => {
        if (message.kind === 'opened') {
          const { boot, recovery } = message;
          resolve(
            recovery === undefined
              ? { thread, boot }
              : { thread, boot, recovery: { error: fromErrorBody(recovery.error), movedTo: recovery.movedTo } },
          );
        } else if (message.kind === 'refused') reject(fromErrorBody(message.error));
        else thread.#settle(message);
      });
      const end = (cause?: unknown): void => {
        const error = new SkerryError('STORE_FAILED', 'the store thread ended', { cause });
        reject(error);
        thread.#end(error);
      };
      worker.on('error', end);
      worker.on('exit', () => end());
    });
  }

  call<K extends CallName>(call: K, ...args: CallArguments<K>): Promise<CallResult<K>> {
    if (this.#closing !== undefined && call !== 'close') return Promise.reject(new SkerryError('CLOSED', 'the store is closed'));
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, args }, []);
    });
  }

  /** Called once when the thread ends without being asked to; the agent cannot go on without it. */
  onFailure(listener: (error: SkerryError) => void): () => void {
    this.#failureListeners.add(listener);
    return () => this.#failureListeners.delete(listener);
  }

  /** Lets calls under way finish, closes the database, ends the thread. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    this.#failureListeners.clear();
    // `call` looks at #closing, which is not set before this function first waits. The thread may be gone before its answer
    // arrives: then it did close.
    await this.call('close').catch((cause: unknown) => {
      if (!hasCode(cause, 'STORE_FAILED')) throw cause;
    });
    await exited;
  }

  #settle(message: Extract<StoreMessage<never>, { id: number }>): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.kind === 'failed') pending?.reject(fromErrorBody(message.error));
    else pending?.resolve(message.result);
  }

  #end(error: SkerryError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    for (const listener of this.#failureListeners) listener(error);
  }
}
