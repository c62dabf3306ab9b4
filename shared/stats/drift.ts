import { SkerryError } from '#shared/kernel/errors.js';
import type { QuantileSketch } from './sketch.js';

/** Counts per bin; two that are compared have the same bins. */
export type Histogram = readonly number[];

/** Kolmogorov-Smirnov distance between two binned samples: the largest difference of their distribution functions at a bin's edge. */
export function kolmogorovSmirnov(a: Histogram, b: Histogram): number {
  checkSame(a, b);
  const [p, q] = [shares(a), shares(b)];
  let [left, right, largest] = [0, 0, 0];
  for (const [i, share] of p.entries()) {
    left += share;
    right += q[i] ?? 0;
    largest = Math.max(largest, Math.abs(left - right));
  }
  return Math.min(1, largest);
}

/** Counts of a sketch's values per bin cut at rising `edges`: below the first, between, above the last (edges.length + 1 bins). */
export function histogramOf(sketch: QuantileSketch, edges: readonly number[]): number[] {
  const counts = Array.from({ length: edges.length + 1 }, () => 0);
  for (const bin of sketch.bins()) {
    const middle = (bin.lower + bin.upper) / 2;
    let at = 0;
    while (at < edges.length && middle > (edges[at] ?? 0)) at += 1;
    counts[at] = (counts[at] ?? 0) + bin.count;
  }
  return counts;
}

function shares(histogram: Histogram): number[] {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  if (!(total > 0)) throw new SkerryError('STATS_ARGUMENT', 'a histogram is empty');
  return histogram.map((count) => count / total);
}

function checkSame(a: Histogram, b: Histogram): void {
  if (a.length !== b.length || a.length === 0) throw new SkerryError('STATS_ARGUMENT', `histograms of ${a.length} and ${b.length} bins`);
  if ([...a, ...b].some((count) => !(count >= 0 && Number.isFinite(count))))
    throw new SkerryError('STATS_ARGUMENT', 'a count is not a number of things');
}
