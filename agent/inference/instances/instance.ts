import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError, fromErrorBody, SkerryError } from '#shared/kernel/errors.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import type { OutputTolerances } from '#shared/tensor/tolerance.js';
import type { Carrier, CarrierEnd, CarrierKind } from './carrier.js';
import type {
  Answer,
  AnswerKind,
  DeclaredOutput,
  FromInstance,
  LoadOptions,
  RuntimeDescription,
  SampleResult,
  ToInstance,
} from './instance-protocol.js';
import { type During, endOf } from '../decide/instance-end.js';
import { forPosting } from './transfer.js';

/** One session of the runtime in a thread or a process, as the agent sees it. Calls are answered in order; one run at a time is meant. */
export interface Instance {
  readonly carrier: CarrierKind;
  describe(): Promise<RuntimeDescription>;
  /** Opens a model file on a provider. Errors: `INFERENCE_MODEL_INVALID`, `..._PROVIDER_UNAVAILABLE`, `..._OUT_OF_MEMORY`. */
  load(options: LoadOptions): Promise<Signature>;
  /** Runs a golden sample, compares, then times at most `runs` further runs begun within `budget`. */
  check(sample: SampleRun): Promise<SampleResult>;
  /** Runs the model. `owned` inputs may be moved instead of copied; they may take `limit`, or what the settings say. */
  run(
    inputs: NamedTensors,
    outputs: readonly string[] | undefined,
    owned: boolean,
    limit?: Millis,
  ): Promise<{ readonly outputs: NamedTensors; readonly compute: Millis }>;
  /** Finishes what it is doing, frees the session and ends. Idempotent. */
  close(): Promise<void>;
  /** Ends its process at once, whatever it is doing; a thread goes on. */
  abandon(): void;
  /** Memory of its process, bytes; `undefined` for a thread, whose memory is the agent's. */
  residentBytes(): Promise<number | undefined>;
  /** What ending its process gives back, bytes; `undefined` for a thread, and where the system does not say. */
  ownBytes(): Promise<number | undefined>;
  /** False from the moment it has ended or was given up, before any of its calls fails. */
  readonly alive: boolean;
  /**
   * Resolves when it has ended: with the reason when it was not asked to. `INFERENCE_STUCK`: it was given up. A thread lives on
   * then, and the agent can be ended only by force.
   */
  readonly ended: Promise<SkerryError | undefined>;
}

/** What a model file says that it takes and gives. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly DeclaredOutput[];
}

export interface SampleRun {
  readonly inputs: NamedTensors;
  readonly expected: NamedTensors;
  readonly tolerance: OutputTolerances;
  readonly runs: number;
  readonly budget: Millis;
  /** The inputs are those of a request, not of a golden sample. */
  readonly copy?: true;
}

type Call = ToInstance extends infer M ? (M extends { readonly id: number } ? Omit<M, 'id'> : never) : never;

interface Waiting {
  readonly during: During;
  /** When the instance counts as stuck, monotonic, and how long it had. */
  readonly until: Millis;
  readonly limit: Millis;
  settle(message: FromInstance): void;
  fail(reason: SkerryError): void;
}

export interface InstanceOptions {
  readonly clock: Clock;
  /** A run without a limit of its own that takes longer than this is stuck in the runtime. */
  readonly runLimit: Millis;
  /** The same for everything that belongs to loading: opening the model, golden samples, the runtime itself. */
  readonly loadLimit: Millis;
}

/** An instance behind a carrier. */
export class CarriedInstance implements Instance {
  readonly #carrier: Carrier;
  readonly #options: InstanceOptions;
  /** In the order they were sent, which is the order they are answered in. */
  readonly #waiting = new Map<number, Waiting>();
  readonly ended: Promise<SkerryError | undefined>;
  #resolveEnded: (reason: SkerryError | undefined) => void = () => undefined;
  #lastId = 0;
  #closing = false;
  #cancelWatch: (() => void) | undefined;
  #watchedUntil = Number.POSITIVE_INFINITY;
  #over: SkerryError | undefined;

  constructor(carrier: Carrier, options: InstanceOptions) {
    this.#carrier = carrier;
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    carrier.listen(
      (message) => {
        const waiting = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        waiting?.settle(message);
      },
      (end) => this.#carrierEnded(end),
    );
  }

  get carrier(): CarrierKind {
    return this.#carrier.kind;
  }

  get alive(): boolean {
    return this.#over === undefined;
  }

  async describe(): Promise<RuntimeDescription> {
    return (await this.#call({ kind: 'describe' }, 'described', this.#options.loadLimit)).description;
  }

  load(options: LoadOptions): Promise<Answer<'loaded'>> {
    return this.#call({ kind: 'load', ...options }, 'loaded', this.#options.loadLimit);
  }

  async check(sample: SampleRun): Promise<SampleResult> {
    const limit = sample.copy === true ? this.#options.runLimit : this.#options.loadLimit;
    return (await this.#call({ kind: 'check', ...sample }, 'checked', limit)).result;
  }

  run(
    inputs: NamedTensors,
    outputs: readonly string[] | undefined,
    owned: boolean,
    limit: Millis = this.#options.runLimit,
  ): Promise<Answer<'ran'>> {
    const { tensors, move } = forPosting(inputs, owned);
    return this.#call({ kind: 'run', inputs: tensors, outputs }, 'ran', limit, move);
  }

  async close(): Promise<void> {
    if (!this.#closing && this.alive) {
      this.#closing = true;
      this.#carrier.post({ kind: 'close' }, []);
    }
    await this.ended;
  }

  abandon(): void {
    this.#carrier.abandon();
  }

  residentBytes(): Promise<number | undefined> {
    return this.#carrier.residentBytes();
  }

  ownBytes(): Promise<number | undefined> {
    return this.#carrier.ownBytes();
  }

  #carrierEnded(end: CarrierEnd): void {
    const [first, ...others] = this.#waiting.values();
    // Asked to close, and everything answered: however it ended, it did what it was asked to.
    if (this.#closing && first === undefined && end.cause === undefined) return this.#end(undefined);
    const { reason, bystanders } = endOf(end, first?.during);
    this.#waiting.clear();
    // Before its calls fail, so that nobody sends it another.
    this.#over = reason;
    first?.fail(reason);
    for (const waiting of others) waiting.fail(bystanders);
    this.#resolveEnded(reason);
  }

  #end(reason: SkerryError | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = reason ?? new SkerryError('CLOSED', 'the instance is closed');
    this.#cancelWatch?.();
    for (const waiting of this.#waiting.values()) waiting.fail(this.#over);
    this.#waiting.clear();
    this.#resolveEnded(reason);
  }

  /** One timer while anything waits, instead of one for every call: nothing is due before it fires. */
  #watch(until: Millis): void {
    if (until >= this.#watchedUntil) return;
    const { clock } = this.#options;
    this.#cancelWatch?.();
    this.#watchedUntil = until;
    this.#cancelWatch = clock.schedule(until - clock.monotonic(), () => {
      this.#cancelWatch = undefined;
      this.#watchedUntil = Number.POSITIVE_INFINITY;
      // One is worked on at a time: those behind the oldest wait for it.
      const [oldest] = this.#waiting.values();
      if (oldest === undefined) return;
      if (clock.monotonic() < oldest.until) return this.#watch(oldest.until);
      this.#carrier.abandon();
      this.#end(
        new SkerryError('INFERENCE_STUCK', `the model has not answered for ${oldest.limit / 1000} s`, {
          details: { during: oldest.during },
        }),
      );
    });
  }

  #call<K extends AnswerKind>(call: Call, kind: K, limit: Millis, move: readonly ArrayBuffer[] = []): Promise<Answer<K>> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const until = this.#options.clock.monotonic() + limit;
      this.#watch(until);
      this.#waiting.set(id, {
        during: call.kind === 'check' && call.copy === true ? 'copy' : call.kind,
        until,
        limit,
        settle(message) {
          if (isAnswer(message, kind)) resolve(message);
          else if (message.kind === 'failed') reject(fromErrorBody(message.error));
          else reject(new SkerryError('INTERNAL', `an instance answered ${call.kind} with ${message.kind}`));
        },
        fail: reject,
      });
      try {
        this.#carrier.post({ ...call, id }, move);
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
