import type { Worker } from 'node:worker_threads';
import type { Clock, Millis } from '#shared/kernel/clock.js';
import { asSkerryError, fromErrorBody, SkerryError } from '#shared/kernel/errors.js';
import { spawnWorker } from '#shared/kernel/worker-entry.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import type { OutputTolerances } from '#shared/tensor/tolerance.js';
import type { Answer, AnswerKind, FromInstance, RuntimeDescription, SampleResult, ToInstance } from './instance-protocol.js';
import { forPosting } from './transfer.js';

/** One worker thread with one session, as the main thread sees it. Calls are answered in order; one run at a time is meant. */
export interface Instance {
  describe(): Promise<RuntimeDescription>;
  /** Opens a model file on a provider. Errors: `INFERENCE_MODEL_INVALID`, `..._PROVIDER_UNAVAILABLE`, `..._OUT_OF_MEMORY`. */
  load(file: string, provider: string, threads: number): Promise<{ inputs: readonly TensorSpec[]; outputs: readonly TensorSpec[] }>;
  /** Runs a golden sample, compares, then times at most `runs` further runs begun within `budget`. */
  check(sample: SampleRun): Promise<SampleResult>;
  /** Runs the model. `owned` inputs are moved, not copied. */
  run(
    inputs: NamedTensors,
    outputs: readonly string[] | undefined,
    owned: boolean,
  ): Promise<{ readonly outputs: NamedTensors; readonly compute: Millis }>;
  /** Finishes what it is doing, frees the session and ends the thread. Idempotent. */
  close(): Promise<void>;
  /** False from the moment it has ended or was given up, before any of its calls fails. */
  readonly alive: boolean;
  /**
   * Resolves when the thread has ended: with the reason when it was not asked to. `INFERENCE_STUCK`: it was given up, its thread
   * lives on, and the process can be ended only by force.
   */
  readonly ended: Promise<SkerryError | undefined>;
}

export interface SampleRun {
  readonly inputs: NamedTensors;
  readonly expected: NamedTensors;
  readonly tolerance: OutputTolerances;
  readonly runs: number;
  readonly budget: Millis;
}

type Call = ToInstance extends infer M ? (M extends { readonly id: number } ? Omit<M, 'id'> : never) : never;

interface Waiting {
  readonly since: Millis;
  settle(message: FromInstance): void;
  fail(reason: SkerryError): void;
}

export interface InstanceOptions {
  readonly clock: Clock;
  /** A call unanswered for this long means that the worker is stuck in the runtime. */
  readonly stuckAfter: Millis;
}

/** Starts a worker thread for one instance. */
export function startInstance(options: InstanceOptions): Instance {
  const worker = spawnWorker('instance', new URL('./instance-worker.js', import.meta.url));
  return new WorkerInstance(worker, options);
}

class WorkerInstance implements Instance {
  readonly #worker: Worker;
  readonly #options: InstanceOptions;
  /** In the order they were sent, which is the order they are answered in. */
  readonly #waiting = new Map<number, Waiting>();
  readonly ended: Promise<SkerryError | undefined>;
  #resolveEnded: (reason: SkerryError | undefined) => void = () => undefined;
  #lastId = 0;
  #closing = false;
  #watching = false;
  #over: SkerryError | undefined;

  constructor(worker: Worker, options: InstanceOptions) {
    this.#worker = worker;
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    let thrown: unknown;
    worker.on('message', (message: FromInstance) => {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      waiting?.settle(message);
    });
    worker.on('error', (cause) => {
      thrown = cause;
    });
    worker.once('exit', (code) => this.#end(this.#closing && thrown === undefined ? undefined : died(code, thrown)));
  }

  get alive(): boolean {
    return this.#over === undefined;
  }

  async describe(): Promise<RuntimeDescription> {
    return (await this.#call({ kind: 'describe' }, 'described')).description;
  }

  load(file: string, provider: string, threads: number): Promise<Answer<'loaded'>> {
    return this.#call({ kind: 'load', file, provider, threads }, 'loaded');
  }

  async check(sample: SampleRun): Promise<SampleResult> {
    return (await this.#call({ kind: 'check', ...sample }, 'checked')).result;
  }

  run(inputs: NamedTensors, outputs: readonly string[] | undefined, owned: boolean): Promise<Answer<'ran'>> {
    const { tensors, move } = forPosting(inputs, owned);
    return this.#call({ kind: 'run', inputs: tensors, outputs }, 'ran', move);
  }

  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      // Never terminate(): stopped inside the runtime, the thread aborts the process (an exception in a binding that no
      // longer may call JavaScript). The thread finishes, frees its session and ends by itself.
      this.#post({ kind: 'close' }, []);
    }
    await this.ended;
  }

  #post(message: ToInstance, move: readonly ArrayBuffer[]): void {
    this.#worker.postMessage(message, move);
  }

  #end(reason: SkerryError | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = reason ?? new SkerryError('CLOSED', 'the instance is closed');
    for (const waiting of this.#waiting.values()) waiting.fail(this.#over);
    this.#waiting.clear();
    this.#resolveEnded(reason);
  }

  /** One coarse timer while anything waits, instead of one for every call. */
  #watch(delay: Millis): void {
    this.#watching = true;
    const { clock, stuckAfter } = this.#options;
    clock.schedule(delay, () => {
      this.#watching = false;
      const [oldest] = this.#waiting.values();
      if (oldest === undefined) return;
      const left = oldest.since + stuckAfter - clock.monotonic();
      if (left > 0) return this.#watch(left);
      this.#worker.unref();
      this.#end(new SkerryError('INFERENCE_STUCK', `the model has not come back for ${stuckAfter / 1000} s`));
    });
  }

  #call<K extends AnswerKind>(call: Call, kind: K, move: readonly ArrayBuffer[] = []): Promise<Answer<K>> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (!this.#watching) this.#watch(this.#options.stuckAfter);
      this.#waiting.set(id, {
        since: this.#options.clock.monotonic(),
        settle(message) {
          if (isAnswer(message, kind)) resolve(message);
          else if (message.kind === 'failed') reject(fromErrorBody(message.error));
          else reject(new SkerryError('INTERNAL', `an instance answered ${call.kind} with ${message.kind}`));
        },
        fail: reject,
      });
      try {
        this.#post({ ...call, id }, move);
      } catch (cause) {
        this.#waiting.delete(id);
        reject(asSkerryError(cause));
      }
    });
  }
}

function isAnswer<K extends AnswerKind>(message: FromInstance, kind: K): message is Answer<K> {
  return message.kind === kind;
}

function died(code: number, thrown: unknown): SkerryError {
  const why = thrown instanceof Error ? thrown.message : `exit code ${code}`;
  return new SkerryError('INFERENCE_INSTANCE_DIED', `the worker running the model ended: ${why}`, { cause: thrown });
}
