import type { Millis } from '#shared/kernel/time.js';
import type { BatchPolicy } from './batch-policy.js';

/** What the decision needs to know of a waiting request. */
export interface Batchable {
  /** Rows along dimension 0. */
  readonly rows: number;
  /** Requests with the same key may share a run: same datatypes and shapes but for dimension 0. */
  readonly key: string;
  readonly enqueuedAt: Millis;
  /** When its time in the queue is over; infinite: never. */
  readonly queueUntil: Millis;
  /** To be run by itself. */
  readonly alone: boolean;
}

/** Requests of one level of priority: those that came, oldest first, and after them those whose time was over and that run last. */
export interface QueueLevel<T> {
  readonly queue: readonly T[];
  readonly delayed: readonly T[];
}

/** What to do with the waiting requests now. */
export interface BatchDecision<T> {
  /** To run together now; empty: wait. */
  readonly batch: readonly T[];
  /** When to look again, where nothing is to be run; infinite: when the next request comes. */
  readonly until: Millis;
  /** Their time in the queue is over: to be refused. */
  readonly rejected: readonly T[];
  /** The same, to be moved to the delayed ones of their level, in this order. */
  readonly delayed: readonly T[];
}

/**
 * Which of the waiting requests to run together now, or until when to wait for more. Pure. It follows Triton's dynamic batcher
 * (dynamic_batch_scheduler.cc, GetDynamicBatch): the most urgent level first, each level in the order of its queue; a preferred size that
 * is reached is run at once, what cannot grow any more as well, and the rest when the oldest has waited `maxDelay`.
 */
export function decideBatch<T extends Batchable>(levels: readonly QueueLevel<T>[], now: Millis, policy: BatchPolicy): BatchDecision<T> {
  const { maxBatchSize, preferredSizes, maxDelay } = policy;
  const largest = preferredSizes.at(-1) ?? maxBatchSize;
  const cursor = new Cursor(levels, now, policy);
  const { rejected, delayed } = cursor;
  const batch: T[] = [];
  let rows = 0;
  /** How many of them make the best size so far. */
  let marked = 0;
  let isClosed = false;
  let oldest = Number.POSITIVE_INFINITY;
  let until = Number.POSITIVE_INFINITY;
  for (let next = cursor.next(); next !== undefined; next = cursor.next()) {
    const [head] = batch;
    if (head !== undefined) {
      if (marked === 0 && rows + next.rows > largest) marked = batch.length;
      isClosed = rows + next.rows > maxBatchSize || head.alone || next.alone || next.key !== head.key;
      if (isClosed) break;
    }
    batch.push(next);
    rows += next.rows;
    oldest = Math.min(oldest, next.enqueuedAt);
    if (next.queueUntil > now) until = Math.min(until, next.queueUntil);
    if (preferredSizes.includes(rows)) marked = batch.length;
    // Nothing is large enough to run beside it.
    if (next.alone) isClosed = true;
  }
  if (batch.length === 0) return { batch, until: Number.POSITIVE_INFINITY, rejected, delayed };
  const isDue = maxDelay > 0 && now >= oldest + maxDelay;
  if (marked > 0 && !isDue) return { batch: batch.slice(0, marked), until: now, rejected, delayed };
  if (isDue || maxDelay === 0 || isClosed || rows >= largest) return { batch, until: now, rejected, delayed };
  return { batch: [], until: Math.min(until, oldest + maxDelay), rejected, delayed };
}

/** Walks through the waiting requests as they are to be run. The policy of a level acts on a request when the walk comes to it. */
class Cursor<T extends Batchable> {
  readonly rejected: T[] = [];
  readonly delayed: T[] = [];
  readonly #levels: readonly QueueLevel<T>[];
  readonly #now: Millis;
  readonly #policy: BatchPolicy;
  #level = 0;
  #at = 0;
  /** Of the level, moved in this walk. */
  #moved: T[] = [];

  constructor(levels: readonly QueueLevel<T>[], now: Millis, policy: BatchPolicy) {
    this.#levels = levels;
    this.#now = now;
    this.#policy = policy;
  }

  /** The next request that may run, and steps over it. */
  next(): T | undefined {
    for (; this.#level < this.#levels.length; this.#level++, this.#at = 0, this.#moved = []) {
      const found = this.#nextOfLevel();
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #nextOfLevel(): T | undefined {
    const { queue = [], delayed = [] } = this.#levels[this.#level] ?? {};
    while (this.#at < queue.length) {
      const one = queue[this.#at++];
      if (one === undefined || one.queueUntil > this.#now) return one;
      if (this.#policy.levels[this.#level]?.timeoutAction === 'delay') {
        this.#moved.push(one);
        this.delayed.push(one);
      } else {
        this.rejected.push(one);
      }
    }
    const behind = this.#at++ - queue.length;
    return behind < delayed.length ? delayed[behind] : this.#moved[behind - delayed.length];
  }
}
