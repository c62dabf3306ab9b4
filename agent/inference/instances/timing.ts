import type { Millis } from '#shared/kernel/time.js';

/** Median of at least one duration (the lower one of two middles). */
export function median(times: readonly Millis[]): Millis {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}
