import { z } from 'zod';
import type { MetricSample } from '#shared/kernel/exposition.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import type { Form } from './form.js';

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'bytes');

export const quantilesSchema = z.object({
  count: z.int(),
  p50: z.number().nullable(),
  p95: z.number().nullable(),
  p99: z.number().nullable(),
  max: z.number().nullable(),
});
export type Quantiles = z.infer<typeof quantilesSchema>;

const SHOWN = [0.5, 0.95, 0.99] as const;

/** Values of which quantiles are asked; each is right within 1 %. Encoded as shared/stats/sketch.ts has it. */
export const sketch: Form<number, QuantileSketch, Uint8Array, Quantiles> = {
  kind: 'distribution',
  wire: bytes,
  view: quantilesSchema,
  empty: () => new QuantileSketch(),
  is: (value): value is QuantileSketch => value instanceof QuantileSketch,
  add(value, observed) {
    value.add(observed);
    return value;
  },
  merge(into, from) {
    into.merge(from);
    return into;
  },
  pack: (value) => value.encode(),
  unpack: (wire) => QuantileSketch.decode(wire),
  counts: (value) => [value.count],
  show(value, zero) {
    const [p50 = null, p95 = null, p99 = null] = SHOWN.map((q) => minus(value.quantile(q), zero));
    return { count: value.count, p50, p95, p99, max: minus(value.max, zero) };
  },
  samples(value, { labels, scale, zero }) {
    const quantiles = SHOWN.flatMap((q) => {
      const at = minus(value.quantile(q), zero);
      return at === null ? [] : [{ labels: { ...labels, quantile: String(q) }, value: at * scale }];
    });
    return [...quantiles, { labels, suffix: '_count', value: value.count }];
  },
};

function minus(value: number | undefined, zero: number): number | null {
  return value === undefined ? null : value - zero;
}

/** Counts of values per bucket (not cumulative), the last one beyond the largest bound, and the sum of the values. */
export interface Histogram {
  readonly counts: number[];
  sum: number;
}

const histogramSchema = z.object({ counts: z.array(z.int().min(0)), sum: z.number() });

/** What a scraper gets of the same values: buckets with these upper bounds, in the signal's unit. Never leaves the process. */
export function histogram(bounds: readonly number[]): Form<number, Histogram, Histogram, Histogram> {
  return {
    kind: 'histogram',
    wire: histogramSchema,
    view: histogramSchema,
    empty: () => ({ counts: Array.from({ length: bounds.length + 1 }, () => 0), sum: 0 }),
    is: (value): value is Histogram => typeof value === 'object' && value !== null && 'sum' in value && 'counts' in value,
    add(value, observed) {
      const at = bounds.findIndex((bound) => observed <= bound);
      const bucket = at < 0 ? bounds.length : at;
      value.counts[bucket] = (value.counts[bucket] ?? 0) + 1;
      value.sum += observed;
      return value;
    },
    merge(into, from) {
      for (const [bucket, by] of from.counts.entries()) into.counts[bucket] = (into.counts[bucket] ?? 0) + by;
      into.sum += from.sum;
      return into;
    },
    pack: (value) => value,
    unpack: (wire) => ({ counts: [...wire.counts], sum: wire.sum }),
    counts: (value) => value.counts,
    show: (value) => value,
    samples: (value, { labels, scale }) => bucketSamples(value, bounds, labels, scale),
  };
}

function bucketSamples(
  { counts, sum }: Histogram,
  bounds: readonly number[],
  labels: Readonly<Record<string, string>>,
  scale: number,
): MetricSample[] {
  let cumulative = 0;
  const buckets = counts.map((by, index) => {
    cumulative += by;
    const bound = bounds[index];
    return { suffix: '_bucket', labels: { ...labels, le: bound === undefined ? '+Inf' : String(bound * scale) }, value: cumulative };
  });
  return [...buckets, { suffix: '_sum', labels, value: sum * scale }, { suffix: '_count', labels, value: cumulative }];
}
