import type { Millis } from '#shared/kernel/time.js';

/** Part of a new measurement in the mean. */
const WEIGHT = 0.1;
const MOST_SECONDS = 30;

/** The mean time in the queue, with one more measurement. */
export function meanQueueTime(mean: Millis, measured: Millis): Millis {
  return mean + WEIGHT * (measured - mean);
}

/** Whole seconds after which there is room again: as long as requests wait now, at least one and at most half a minute. */
export function retryAfterSeconds({ mean, oldest }: { readonly mean: Millis; readonly oldest: Millis }): number {
  return Math.min(MOST_SECONDS, Math.max(1, Math.ceil(Math.max(mean, oldest) / 1000)));
}
