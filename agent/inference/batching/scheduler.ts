import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { rowProblem, rowsOf, stack, unstack } from '#shared/tensor/rows.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import {
  type BatchPolicy,
  levelOf,
  mostWaiting,
  NO_BATCHES,
  NO_QUEUE_POLICY,
  queueTimeout,
  withoutBatches,
} from '../decide/batch-policy.js';
import { type BatchDecision, decideBatch } from '../decide/next-batch.js';
import { meanQueueTime, retryAfterSeconds } from '../decide/retry-after.js';
import type { Instance } from '../instances/instance.js';
import type { RunTimes } from '../statistics/servable-statistics.js';
import { AnswersInOrder } from './answers-in-order.js';
import { EarliestTimer } from './earliest-timer.js';
import { WaitingLine } from './waiting-line.js';
import { Item, type Work, type WorkResult } from './work.js';

type Runner = Pick<Instance, 'run'>;

/** Instances as the scheduler sees them. */
export interface RunnerPool<R> {
  readonly hasIdle: boolean;
  acquire(): R | undefined;
  release(instance: R): void;
}

interface SchedulerParts<R extends Runner> {
  readonly pool: RunnerPool<R>;
  readonly clock: Clock;
  /** Requests that may wait in a level without a limit of its own. */
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
 * passed or whose caller has gone is never run, and leaves the line at once; no level has more waiting than its limit; within a level
 * requests start in the order they came, but for those whose time in the queue was over; of a batch whose outputs do not have one row for
 * each input row nothing is handed out, and no batch follows it; none comes before `aloneFirst` requests were answered each by itself.
 */
export class Scheduler<R extends Runner> {
  readonly #parts: SchedulerParts<R>;
  readonly #line: WaitingLine;
  readonly #runs = new Set<readonly Item[]>();
  readonly #idleWaiters: (() => void)[] = [];
  readonly #deadlines: EarliestTimer;
  /** Present where answers keep the order of requests. */
  readonly #ordered: AnswersInOrder | undefined;
  #policy: BatchPolicy;
  /** While rows of lone requests are still to be seen, and once they showed that requests must not share runs. */
  readonly #lonePolicy: BatchPolicy;
  #running = 0;
  #isBatching: boolean;
  #cancelDelay: (() => void) | undefined;
  /** Requests still to be seen by themselves before any share a run. */
  #toSeeAlone: number;
  #meanQueue: Millis = 0;

  constructor(parts: SchedulerParts<R>) {
    this.#parts = parts;
    const policy = parts.batching ?? NO_BATCHES;
    this.#isBatching = parts.batching !== undefined;
    this.#lonePolicy = withoutBatches(policy);
    this.#toSeeAlone = this.#isBatching ? parts.aloneFirst : 0;
    this.#policy = this.#toSeeAlone > 0 ? this.#lonePolicy : policy;
    this.#line = new WaitingLine(policy.levels.length);
    this.#ordered = policy.preserveOrdering ? new AnswersInOrder() : undefined;
    this.#deadlines = new EarliestTimer(parts.clock, (now) => this.#expire(now));
  }

  /** Requests that wait for an instance. */
  get waiting(): number {
    return this.#line.length;
  }

  /** Requests taken and not yet finished. */
  get inFlight(): number {
    return this.#line.length + this.#running;
  }

  /**
   * Takes a request. Errors: `INFERENCE_QUEUE_FULL`, `INFERENCE_QUEUE_TIMEOUT`, `INFERENCE_TIMEOUT` (`_SHORT`), `INFERENCE_ABANDONED`, and
   * those of the run.
   */
  submit(work: Work): Promise<WorkResult> {
    if (work.recipient?.abandoned() === true) return Promise.reject(abandoned('before the request was queued'));
    const level = levelOf(this.#policy, work.priority);
    const queuePolicy = this.#policy.levels[level] ?? NO_QUEUE_POLICY;
    const most = mostWaiting(queuePolicy, this.#parts.capacity);
    if (this.#line.lengthOf(level) >= most) return Promise.reject(this.#full(most));
    const { clock, batching, hasRows } = this.#parts;
    const rows = batching !== undefined || hasRows === true ? rowsOf(work.inputs) : undefined;
    const enqueuedAt = clock.monotonic();
    const queueUntil = enqueuedAt + queueTimeout(queuePolicy, work.queueTimeout);
    return new Promise((resolve, reject) => {
      const item = new Item({ work, rows, level, enqueuedAt, queueUntil, resolve, reject });
      work.recipient?.onAbandoned(() => this.#abandon(item));
      this.#deadlines.by(Math.min(item.deadline, queueUntil));
      if (this.#startAtOnce(item)) return;
      this.#line.add(item);
      this.wake();
    });
  }

  /** Starts what can be started; called when an instance became idle. */
  wake(): void {
    const { pool, clock } = this.#parts;
    if (this.#line.length === 0 || !pool.hasIdle) return;
    this.#cancelDelay?.();
    this.#cancelDelay = undefined;
    while (this.#line.length > 0 && pool.hasIdle) {
      const now = clock.monotonic();
      const decision = decideBatch(this.#line.levels, now, this.#policy);
      this.#apply(decision);
      const { batch, until } = decision;
      if (batch.length === 0) {
        if (until !== Number.POSITIVE_INFINITY) this.#cancelDelay = clock.schedule(until - now, () => this.wake());
        return;
      }
      const instance = pool.acquire();
      if (instance === undefined) return;
      for (const item of batch) this.#line.remove(item);
      void this.#run(instance, batch);
    }
  }

  /** Fails everything that waits; what runs is answered by its run. */
  failAll(error: SkerryError): void {
    for (const item of this.#line.all()) {
      this.#line.remove(item);
      item.reject(error);
    }
    this.#settled();
  }

  /** Resolves once nothing waits or runs. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idleWaiters.push(resolve);
      this.#settled();
    });
  }

  /** The usual way: nobody waits, an instance is idle, and there is nothing to wait for. */
  #startAtOnce(item: Item): boolean {
    if (this.#line.length > 0 || this.#policy.maxDelay > 0) return false;
    const instance = this.#parts.pool.acquire();
    if (instance === undefined) return false;
    void this.#run(instance, [item]);
    return true;
  }

  #apply({ rejected, delayed }: BatchDecision<Item>): void {
    for (const item of rejected) this.#reject(item);
    for (const item of delayed) this.#line.delay(item);
  }

  async #run(instance: R, items: readonly Item[]): Promise<void> {
    const started = this.#parts.clock.monotonic();
    this.#running += items.length;
    this.#runs.add(items);
    this.#ordered?.start(items);
    try {
      const [first] = items;
      const alone = items.length === 1 && first !== undefined;
      const inputs = alone ? first.work.inputs : stack(items.map((item) => item.work.inputs));
      const running = instance.run(inputs, wantedBy(items), alone ? first.work.owned : true, this.#limitOf(items, started));
      const input = this.#parts.clock.monotonic() - started;
      const { outputs, compute } = await running;
      const times = { input, compute, output: Math.max(0, this.#parts.clock.monotonic() - started - input - compute) };
      this.#ran(items, times);
      if (alone) {
        this.#seeRows(outputs, first);
        this.#answer(first, outputs, started, times);
      } else {
        const parts = this.#divide(outputs, items);
        for (const [index, item] of items.entries()) this.#answer(item, pick(parts[index] ?? {}, item.work.outputs), started, times);
      }
    } catch (cause) {
      this.#failed(items, asSkerryError(cause));
    } finally {
      this.#running -= items.length;
      this.#runs.delete(items);
      this.#parts.pool.release(instance);
      this.#settled();
    }
  }

  #answer(item: Item, outputs: NamedTensors, started: Millis, times: RunTimes): void {
    const queue = started - item.enqueuedAt;
    this.#meanQueue = meanQueueTime(this.#meanQueue, queue);
    if (item.expired) item.work.late?.({ queue, compute: times.compute });
    const { input, compute, output } = times;
    const result = { outputs, queue, rows: item.rows, input, compute, output };
    if (this.#ordered === undefined) item.resolve(result);
    else this.#ordered.answer(item, () => item.resolve(result));
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

  #seeRows(outputs: NamedTensors, { rowed, rows }: Item): void {
    if (!this.#isBatching || !rowed) return;
    this.#checkRows(outputs, rows);
    if (!this.#isBatching || this.#toSeeAlone === 0) return;
    this.#toSeeAlone--;
    if (this.#toSeeAlone === 0) this.#policy = this.#parts.batching ?? this.#lonePolicy;
  }

  /** A run that does not give one row for each input row shows that requests cannot share runs, also when it was one request's alone. */
  #checkRows(outputs: NamedTensors, rows: number): void {
    const problem = this.#isBatching ? rowProblem(outputs, rows) : undefined;
    if (problem === undefined) return;
    this.#isBatching = false;
    this.#policy = this.#lonePolicy;
    this.#parts.onBatchingStopped?.(problem);
  }

  #failed(items: readonly Item[], error: SkerryError): void {
    if (items.length > 1 && PERHAPS_A_NEIGHBOUR.has(error.code)) {
      for (const item of items) item.runAgainAlone();
      this.#line.addFirst(items.filter((item) => !item.settled));
      this.wake();
      return;
    }
    const [item] = items;
    const told = items.length === 1 && item !== undefined && ENDED.has(error.code) ? this.#parts.onEnded?.(item.work, error) : undefined;
    for (const each of items) {
      if (this.#ordered === undefined) each.reject(told ?? error);
      else this.#ordered.answer(each, () => each.reject(told ?? error));
    }
  }

  /** A caller that allows more than the setting is given it. */
  #limitOf(items: readonly Item[], now: Millis): Millis {
    let limit = this.#parts.runLimit;
    for (const { deadline } of items) limit = Math.max(limit, deadline + GRACE - now);
    return limit;
  }

  /** Nobody reads its answer: what waits is dropped, what runs is not waited for. */
  #abandon(item: Item): void {
    if (item.settled) return;
    const waited = this.#line.remove(item);
    item.reject(abandoned(waited ? 'while the request was queued' : 'while the model ran'));
    this.#settled();
  }

  /** Its time in the queue is over. */
  #reject(item: Item): void {
    this.#line.remove(item);
    const waited = Math.round(item.queueUntil - item.enqueuedAt);
    const details = { retryAfter: this.#retryAfter() };
    item.reject(new SkerryError('INFERENCE_QUEUE_TIMEOUT', `the ${waited} ms allowed in the queue of the model passed`, { details }));
  }

  /** Tells everybody whose time is over; gives when the next one's is. */
  #expire(now: Millis): Millis {
    let next = Number.POSITIVE_INFINITY;
    for (const item of this.#line.all()) {
      const isRejectedFirst = item.queueUntil < item.deadline && this.#policy.levels[item.level]?.timeoutAction === 'reject';
      const until = isRejectedFirst ? item.queueUntil : item.deadline;
      if (until > now) {
        next = Math.min(next, until);
      } else if (isRejectedFirst) {
        this.#reject(item);
      } else {
        this.#line.remove(item);
        item.expire('waiting for a free instance');
      }
    }
    for (const items of this.#runs) {
      for (const item of items) {
        if (item.settled) continue;
        if (item.deadline > now) next = Math.min(next, item.deadline);
        else item.expire('while the model ran');
      }
    }
    this.#settled();
    return next;
  }

  #full(most: number): SkerryError {
    const details = { waiting: this.#line.length, capacity: most, retryAfter: this.#retryAfter() };
    return new SkerryError('INFERENCE_QUEUE_FULL', `the queue of the model is full (${most} requests)`, { details });
  }

  #retryAfter(): number {
    const now = this.#parts.clock.monotonic();
    const oldest = this.#line.all().reduce((most, { enqueuedAt }) => Math.max(most, now - enqueuedAt), 0);
    return retryAfterSeconds({ mean: this.#meanQueue, oldest });
  }

  /** Some requests have their answers, or left. */
  #settled(): void {
    this.#ordered?.release();
    if (this.#idleWaiters.length === 0 || this.inFlight > 0) return;
    this.#deadlines.stop();
    this.#cancelDelay?.();
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}

function abandoned(when: string): SkerryError {
  return new SkerryError('INFERENCE_ABANDONED', `the caller went away ${when}`);
}

/** Outputs to compute for a batch: all, unless every request names those it wants. */
function wantedBy(items: readonly Item[]): readonly string[] | undefined {
  const [first] = items;
  if (first !== undefined && items.length === 1) return first.work.outputs;
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
