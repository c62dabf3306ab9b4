import type { Millis } from '#shared/kernel/time.js';

export interface BatchPolicy {
  readonly maxBatchSize: number;
  /** Sizes worth running at once, rising; the largest size when the manifest names none. */
  readonly preferredSizes: readonly number[];
  /** Longest time the oldest request waits for others. */
  readonly maxDelay: Millis;
}

/** What the policy needs to know of a waiting request. */
interface Batchable {
  /** Rows along dimension 0. */
  readonly rows: number;
  /** Requests with the same key may share a run: same datatypes and shapes but for dimension 0. */
  readonly key: string;
  readonly enqueuedAt: Millis;
  /** To be run by itself. */
  readonly alone: boolean;
}

export type BatchDecision = { readonly kind: 'run'; readonly count: number } | { readonly kind: 'wait'; readonly until: Millis };

export function batchPolicy(batching: { maxBatchSize: number; preferredSizes?: readonly number[]; maxDelayMicros?: number }): BatchPolicy {
  const preferred = (batching.preferredSizes ?? []).filter((size) => size <= batching.maxBatchSize);
  return {
    maxBatchSize: batching.maxBatchSize,
    preferredSizes: (preferred.length > 0 ? preferred : [batching.maxBatchSize]).toSorted((a, b) => a - b),
    maxDelay: (batching.maxDelayMicros ?? 0) / 1000,
  };
}

/**
 * How many of the waiting requests (oldest first, at least one) to run together now, or until when to wait for more. Pure.
 * Order is kept: a batch is always a prefix of the queue, so nobody is overtaken. Semantics follow Triton's dynamic
 * batcher: run when a preferred size is reached or no more fits, else when the oldest has waited `maxDelay`.
 */
export function decideBatch(queue: readonly Batchable[], now: Millis, policy: BatchPolicy): BatchDecision {
  const [head] = queue;
  if (head === undefined) return { kind: 'wait', until: Number.POSITIVE_INFINITY };
  if (head.alone || policy.maxBatchSize <= 1) return { kind: 'run', count: 1 };
  let rows = 0;
  let count = 0;
  let preferredCount = 0;
  for (const item of queue) {
    if (item.alone || item.key !== head.key || (count > 0 && rows + item.rows > policy.maxBatchSize)) break;
    rows += item.rows;
    count++;
    if (policy.preferredSizes.includes(rows)) preferredCount = count;
  }
  const full = count < queue.length || rows >= policy.maxBatchSize;
  if (preferredCount > 0) return { kind: 'run', count: preferredCount };
  const until = head.enqueuedAt + policy.maxDelay;
  return full || now >= until ? { kind: 'run', count } : { kind: 'wait', until };
}
