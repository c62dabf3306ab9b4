import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { batchKey, rowProblem, rowsOf, stack, unstack } from '#shared/tensor/rows.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import { type BatchDecision, type BatchPolicy, decideBatch } from '../decide/batch-policy.js';
import type { Instance } from '../instances/instance.js';
import type { RunTimes } from '../statistics/servable-statistics.js';

/** One request as the scheduler takes it: already checked against the model. */
export interface Work {
  readonly inputs: NamedTensors;
  readonly outputs: readonly string[] | undefined;
  readonly timeout: Millis;
  /** The caller named a timeout shorter than the default. */
  readonly hurried?: boolean | undefined;
  /** The answer came after the timeout, when the caller had its error already. */
  readonly late?: ((timing: Pick<WorkResult, 'queue' | 'compute'>) => void) | undefined;
  readonly owned: boolean;
  readonly abandoned: (() => boolean) | undefined;
  /** Golden samples, and no request: its runs are not counted. */
  readonly isSample?: true;
}

export interface WorkResult extends RunTimes {
  readonly outputs: NamedTensors;
  readonly queue: Millis;
  /** Along dimension 0, where the version has batches; else 1. */
  readonly rows: number;
}

type Runner = Pick<Instance, 'run'>;

interface SchedulerParts<R extends Runner> {
  readonly pool: { acquire(): R | undefined; release(instance: R): void };
  readonly clock: Clock;
  readonly capacity: number;
  /** Dynamic batching along dimension 0, or none. */
  readonly batching: BatchPolicy | undefined;
  /** Dimension 0 of its tensors counts rows, also where requests do not share runs. */
  readonly hasRows?: boolean;
  /** Requests that run by themselves before any share a run, so that the rows of a lone one are seen first. */
  readonly aloneFirst: number;
  /** Called once, when outputs showed that requests must not share a run: from then on each runs by itself. */
  readonly onBatchingStopped?: (reason: string) => void;
  /** The model ran for requests of so many rows together. */
  readonly onRan?: (rows: number, times: RunTimes) => void;
  /** How long a run may take when no caller allowed more. */
  readonly runLimit: Millis;
  /** The instance ended in this run of one request alone; gives the error for its caller. */
  readonly onEnded?: (work: Work, error: SkerryError) => SkerryError;
}

interface Item {
  readonly work: Work;
  readonly rows: number;
  /** All its inputs agree on the number of rows. */
  readonly rowed: boolean;
  readonly key: string;
  readonly enqueuedAt: Millis;
  alone: boolean;
  settled: boolean;
  readonly resolve: (result: WorkResult) => void;
  readonly reject: (error: SkerryError) => void;
  cancelDeadline: () => void;
}

const ONE: BatchDecision = { kind: 'run', count: 1 };

/** Past its own timeout a caller has its answer; until then an instance that does not come back may still be slow. */
const GRACE: Millis = 1_000;

/** Errors of an instance that is gone. */
const ENDED = new Set(['INFERENCE_CRASHED', 'INFERENCE_INSTANCE_DIED', 'INFERENCE_STUCK']);

/** Errors that one request of a batch can bring upon the others; each is then run by itself. */
const PERHAPS_A_NEIGHBOUR = new Set([
  'INFERENCE_INPUT_REFUSED',
  'INFERENCE_RUN_FAILED',
  'INFERENCE_OUTPUT_INVALID',
  'INFERENCE_OUT_OF_MEMORY',
  'INFERENCE_CRASHED',
]);

/**
 * The waiting line of one servable. INVARIANTS: every request taken is settled exactly once; queued work whose deadline has
 * passed or whose caller has gone is never run; at most `capacity` wait; requests start in the order they came; of a batch
 * whose outputs do not have one row for each input row nothing is handed out, and no batch follows it; none comes before
 * `aloneFirst` requests were answered each by itself.
 */
export class Scheduler<R extends Runner> {
  readonly #parts: SchedulerParts<R>;
  readonly #queue: Item[] = [];
  readonly #idleWaiters: (() => void)[] = [];
  #running = 0;
  #batching: BatchPolicy | undefined;
  #cancelDelay: (() => void) | undefined;
  /** Requests still to be seen by themselves before any share a run. */
  #toSeeAlone: number;

  constructor(parts: SchedulerParts<R>) {
    this.#parts = parts;
    this.#batching = parts.batching;
    this.#toSeeAlone = parts.aloneFirst;
  }

  /** Requests taken and not yet finished. */
  get waiting(): number {
    return this.#queue.length;
  }

  get inFlight(): number {
    return this.#queue.length + this.#running;
  }

  /** Takes a request. Errors: `INFERENCE_QUEUE_FULL`, `INFERENCE_TIMEOUT` (`_SHORT`), `INFERENCE_ABANDONED`, and those of the run. */
  submit(work: Work): Promise<WorkResult> {
    const { capacity, clock } = this.#parts;
    if (this.#queue.length >= capacity) {
      const details = { waiting: this.#queue.length, capacity };
      return Promise.reject(new SkerryError('INFERENCE_QUEUE_FULL', `the queue of the model is full (${capacity} requests)`, { details }));
    }
    const { batching, hasRows } = this.#parts;
    const rows = batching !== undefined || hasRows === true ? rowsOf(work.inputs) : undefined;
    return new Promise((resolve, reject) => {
      const item: Item = {
        work,
        rows: rows ?? 1,
        rowed: rows !== undefined,
        key: rows === undefined || this.#batching === undefined ? '' : batchKey(work.inputs),
        enqueuedAt: clock.monotonic(),
        alone: rows === undefined,
        settled: false,
        resolve,
        reject,
        cancelDeadline: () => undefined,
      };
      item.cancelDeadline = clock.schedule(work.timeout, () => this.#expire(item));
      this.#queue.push(item);
      this.wake();
    });
  }

  /** Starts what can be started; called when an instance became idle. */
  wake(): void {
    const { pool, clock } = this.#parts;
    this.#cancelDelay?.();
    this.#cancelDelay = undefined;
    let instance: R | undefined;
    while (this.#queue.length > 0) {
      const now = clock.monotonic();
      const decision = this.#batching === undefined || this.#toSeeAlone > 0 ? ONE : decideBatch(this.#queue, now, this.#batching);
      if (decision.kind === 'wait') {
        this.#cancelDelay = clock.schedule(decision.until - now, () => this.wake());
        break;
      }
      instance ??= pool.acquire();
      if (instance === undefined) return;
      const items = this.#queue.splice(0, decision.count).filter((item) => this.#stillWanted(item));
      if (items.length === 0) continue;
      void this.#run(instance, items);
      instance = undefined;
    }
    if (instance !== undefined) pool.release(instance);
  }

  /** Fails everything that waits; what runs is answered by its run. */
  failAll(error: SkerryError): void {
    for (const item of this.#queue.splice(0)) settle(item, () => item.reject(error));
    this.#checkIdle();
  }

  /** Resolves once nothing waits or runs. */
  idle(): Promise<void> {
    if (this.inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  async #run(instance: R, items: readonly Item[]): Promise<void> {
    const started = this.#parts.clock.monotonic();
    this.#running += items.length;
    try {
      const [first] = items;
      const alone = items.length === 1 && first !== undefined;
      const inputs = alone ? first.work.inputs : stack(items.map((item) => item.work.inputs));
      const limit = this.#limitOf(items, started);
      const running = instance.run(inputs, wantedBy(items), alone ? first.work.owned : true, limit);
      const input = this.#parts.clock.monotonic() - started;
      const { outputs, compute } = await running;
      const times = { input, compute, output: Math.max(0, this.#parts.clock.monotonic() - started - input - compute) };
      this.#ran(items, times);
      const parts = alone ? [outputs] : this.#divide(outputs, items);
      if (alone && first.rowed) {
        this.#checkRows(outputs, first.rows);
        this.#toSeeAlone--;
      }
      for (const [index, item] of items.entries()) {
        const queue = started - item.enqueuedAt;
        const result = { outputs: pick(parts[index] ?? {}, item.work.outputs), queue, rows: item.rows, ...times };
        if (item.settled) item.work.late?.({ queue, compute });
        else settle(item, () => item.resolve(result));
      }
    } catch (cause) {
      this.#failed(items, asSkerryError(cause));
    } finally {
      this.#running -= items.length;
      this.#parts.pool.release(instance);
      this.#checkIdle();
    }
  }

  #ran(items: readonly Item[], times: RunTimes): void {
    if (items.every(({ work }) => work.isSample)) return;
    this.#parts.onRan?.(
      items.reduce((sum, { rows }) => sum + rows, 0),
      times,
    );
  }

  /** One part for each request; a batch that cannot be divided is the last one. */
  #divide(outputs: NamedTensors, items: readonly Item[]): readonly NamedTensors[] {
    const rows = items.map((item) => item.rows);
    this.#checkRows(
      outputs,
      rows.reduce((sum, count) => sum + count, 0),
    );
    return unstack(outputs, rows);
  }

  /** A run that does not give one row for each input row shows that requests cannot share runs, also when it was one request's alone. */
  #checkRows(outputs: NamedTensors, rows: number): void {
    const problem = this.#batching === undefined ? undefined : rowProblem(outputs, rows);
    if (problem === undefined) return;
    this.#batching = undefined;
    this.#parts.onBatchingStopped?.(problem);
  }

  #failed(items: readonly Item[], error: SkerryError): void {
    if (items.length > 1 && PERHAPS_A_NEIGHBOUR.has(error.code)) {
      for (const item of items) item.alone = true;
      this.#queue.unshift(...items.filter((item) => !item.settled));
      this.wake();
      return;
    }
    const [item] = items;
    const told = items.length === 1 && item !== undefined && ENDED.has(error.code) ? this.#parts.onEnded?.(item.work, error) : undefined;
    for (const each of items) settle(each, () => each.reject(told ?? error));
  }

  /** A caller that allows more than the setting is given it. */
  #limitOf(items: readonly Item[], now: Millis): Millis {
    return Math.max(this.#parts.runLimit, ...items.map(({ work, enqueuedAt }) => enqueuedAt + work.timeout + GRACE - now));
  }

  #stillWanted(item: Item): boolean {
    if (item.settled) return false;
    if (item.work.abandoned?.() !== true) return true;
    settle(item, () => item.reject(new SkerryError('INFERENCE_ABANDONED', 'the caller disconnected while the request was queued')));
    this.#checkIdle();
    return false;
  }

  #expire(item: Item): void {
    const at = this.#queue.indexOf(item);
    if (at >= 0) this.#queue.splice(at, 1);
    const where = at >= 0 ? 'waiting for a free instance' : 'while the model ran';
    const code = item.work.hurried === true ? 'INFERENCE_TIMEOUT_SHORT' : 'INFERENCE_TIMEOUT';
    settle(item, () => item.reject(new SkerryError(code, `the ${item.work.timeout} ms allowed passed ${where}`)));
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.inFlight === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}

function settle(item: Item, answer: () => void): void {
  if (item.settled) return;
  item.settled = true;
  item.cancelDeadline();
  answer();
}

/** Outputs to compute for a batch: all, unless every request names those it wants. */
function wantedBy(items: readonly Item[]): readonly string[] | undefined {
  const names = new Set<string>();
  for (const { work } of items) {
    if (work.outputs === undefined) return undefined;
    for (const name of work.outputs) names.add(name);
  }
  return [...names];
}

function pick(outputs: NamedTensors, wanted: readonly string[] | undefined): NamedTensors {
  if (wanted === undefined) return outputs;
  return Object.fromEntries(Object.entries(outputs).filter(([name]) => wanted.includes(name)));
}
