import { availableParallelism } from 'node:os';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { type Clock, minutes } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { spawnWorker } from '#shared/kernel/worker-entry.js';
import type { DesiredState } from '#shared/trust/desired.js';
import { signDesired } from '#shared/trust/desired-verify.js';
import type { SigningKey } from '#shared/trust/keys.js';
import type { SignedReply, SigningWorkerOptions, SignRequest } from './signing-messages.js';

export interface SignersDeps {
  readonly key: SigningKey;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Threads for many statements (default: one for each core, 4 at most); 0 signs everything here. */
  readonly threads?: number;
}

/** A signature takes 5 to 10 ms: so few are made here, one at a time, without waking a thread. */
const FEW = 4;
const MOST_THREADS = 4;
/** Threads end after this long without work. */
const IDLE = minutes(1);

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<
    number,
    { readonly resolve: (envelopes: readonly Uint8Array[]) => void; readonly reject: (cause: unknown) => void }
  >;
}

/** Signs desired states without holding up the event loop: many in threads of their own, few here with pauses (DESIGN R5). */
export class Signers {
  readonly #deps: SignersDeps;
  readonly #most: number;
  #threads: Thread[] = [];
  #next = 0;
  #cancelIdle: () => void = () => undefined;

  constructor(deps: SignersDeps) {
    this.#deps = deps;
    this.#most = deps.threads ?? Math.min(MOST_THREADS, availableParallelism());
  }

  /** One envelope for each statement, in the same order. */
  async sign(statements: readonly DesiredState[]): Promise<readonly Uint8Array[]> {
    if (statements.length <= FEW || this.#most === 0) return this.#signHere(statements);
    try {
      return await this.#signInThreads(statements);
    } catch (cause) {
      this.#deps.logger.error({ cause: String(cause) }, 'a signing thread failed; signing goes on without');
      await this.close();
      return this.#signHere(statements);
    }
  }

  async close(): Promise<void> {
    this.#cancelIdle();
    const threads = this.#threads;
    this.#threads = [];
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }

  async #signHere(statements: readonly DesiredState[]): Promise<readonly Uint8Array[]> {
    const envelopes: Uint8Array[] = [];
    for (const statement of statements) {
      envelopes.push(signDesired(statement, this.#deps.key));
      await yieldToLoop();
    }
    return envelopes;
  }

  async #signInThreads(statements: readonly DesiredState[]): Promise<readonly Uint8Array[]> {
    this.#cancelIdle();
    while (this.#threads.length < this.#most) this.#threads.push(this.#start());
    const share = Math.ceil(statements.length / this.#threads.length);
    const parts = this.#threads.map((thread, i) => this.#ask(thread, statements.slice(i * share, (i + 1) * share)));
    const envelopes = (await Promise.all(parts)).flat();
    this.#cancelIdle = this.#deps.clock.schedule(IDLE, () => void this.close());
    return envelopes;
  }

  #start(): Thread {
    const options: SigningWorkerOptions = { seed: this.#deps.key.seed() };
    const worker = spawnWorker('sign', new URL('./signing-worker.js', import.meta.url), options);
    // A thread that waits for work keeps nobody from ending.
    worker.unref();
    const thread: Thread = { worker, waiting: new Map() };
    worker.on('message', ({ id, envelopes }: SignedReply) => {
      thread.waiting.get(id)?.resolve(envelopes);
      thread.waiting.delete(id);
    });
    const fail = (cause: unknown): void => {
      for (const { reject } of thread.waiting.values()) reject(cause);
      thread.waiting.clear();
      this.#threads = this.#threads.filter((other) => other !== thread);
    };
    worker.on('error', fail);
    worker.on('exit', (code) => fail(new SkerryError('INTERNAL', `a signing thread ended with code ${code}`)));
    return thread;
  }

  #ask({ worker, waiting }: Thread, statements: readonly DesiredState[]): Promise<readonly Uint8Array[]> {
    if (statements.length === 0) return Promise.resolve([]);
    this.#next += 1;
    const request: SignRequest = { id: this.#next, statements };
    return new Promise((resolve, reject) => {
      waiting.set(request.id, { resolve, reject });
      worker.postMessage(request, []);
    });
  }
}
