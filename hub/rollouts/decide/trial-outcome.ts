import { z } from 'zod';
import type { QuantileSketch } from '#shared/stats/sketch.js';
import { quantileRatioInterval } from '#shared/stats/quantile-sequence.js';
import { rateRatioInterval } from '#shared/stats/rate-ratio.js';
import { finite } from './gates/result.js';

// What a rollout came to: the new version and the old one side by side, over the same time.

const count = z.number().min(0);
const quantilesSchema = z.object({ count, p50: z.number(), p95: z.number() });

const armSchema = z.object({
  /** Versions that were counted. */
  versions: z.array(z.number()),
  devices: count,
  predictions: count,
  failed: count,
  /** Milliseconds of a whole request. */
  latency: quantilesSchema.nullable(),
  /** Answers the application judged. */
  feedback: z.object({ total: count, wrong: count }).nullable(),
  /** Numbers the application reports. */
  metrics: z.record(z.string(), quantilesSchema),
});

export const outcomeSchema = z.object({
  /** Milliseconds since the epoch. */
  from: z.number(),
  to: z.number(),
  new: armSchema,
  old: armSchema,
  /** New over old, with ends of a confidence sequence at 95 % (it holds however often one looks); null where nothing bounds it. */
  ratios: z.array(
    z.object({ of: z.string(), estimate: z.number().nullable(), lower: z.number().nullable(), upper: z.number().nullable() }),
  ),
  /** Copies of requests that the new version ran beside the old one; what they cost in milliseconds of computing each. */
  shadow: z.object({ compared: count, disagreed: count, dropped: count, cost: quantilesSchema.nullable() }).nullable(),
});
export type TrialOutcome = z.infer<typeof outcomeSchema>;

/** One side as it was measured, summed. */
export interface ArmSums {
  readonly versions: ReadonlySet<number>;
  readonly devices: ReadonlySet<string>;
  readonly predictions: number;
  readonly failed: number;
  readonly latency: QuantileSketch;
  readonly feedback: { readonly total: number; readonly wrong: number } | undefined;
  readonly metrics: ReadonlyMap<string, QuantileSketch>;
}

interface ShadowSums {
  readonly compared: number;
  readonly disagreed: number;
  readonly dropped: number;
  readonly cost: QuantileSketch;
}

const ALPHA = 0.05;

/** Both sides side by side. Pure. */
export function compareArms(
  span: { readonly from: number; readonly to: number },
  sums: { readonly new: ArmSums; readonly old: ArmSums },
  shadow: ShadowSums | undefined,
): TrialOutcome {
  const { new: fresh, old } = sums;
  const ratios = [
    { of: 'failed predictions', ...rateRatio(countOf(fresh), countOf(old)) },
    ...(fresh.feedback === undefined || old.feedback === undefined
      ? []
      : [{ of: 'wrong answers', ...rateRatio(judged(fresh.feedback), judged(old.feedback)) }]),
    // A copy of a request is only computed: its time is no request's.
    ...(shadow === undefined ? [{ of: 'latency, 95 % quantile', ...quantileRatio(fresh.latency, old.latency, 0.95) }] : []),
    ...[...fresh.metrics].flatMap(([name, values]) => {
      const before = old.metrics.get(name);
      return before === undefined ? [] : [{ of: `${name}, median`, ...quantileRatio(values, before, 0.5) }];
    }),
  ];
  const copies = shadow && {
    compared: shadow.compared,
    disagreed: shadow.disagreed,
    dropped: shadow.dropped,
    cost: quantilesOf(shadow.cost),
  };
  return { ...span, new: armOf(fresh), old: armOf(old), ratios, shadow: copies ?? null };
}

interface Count {
  readonly events: number;
  readonly exposure: number;
}

function rateRatio(fresh: Count, old: Count): Pick<TrialOutcome['ratios'][number], 'estimate' | 'lower' | 'upper'> {
  const stratum = { canaryEvents: fresh.events, canaryExposure: fresh.exposure, controlEvents: old.events, controlExposure: old.exposure };
  const interval = fresh.exposure > 0 && old.exposure > 0 ? rateRatioInterval([stratum], ALPHA) : undefined;
  return { estimate: finite(interval?.estimate), lower: finite(interval?.lower), upper: finite(interval?.upper) };
}

function quantileRatio(
  fresh: QuantileSketch,
  old: QuantileSketch,
  q: number,
): Pick<TrialOutcome['ratios'][number], 'estimate' | 'lower' | 'upper'> {
  const [now, before] = [fresh.quantile(q), old.quantile(q)];
  if (now === undefined || before === undefined || before <= 0) return { estimate: null, lower: null, upper: null };
  const { lower, upper } = quantileRatioInterval(fresh, old, q, ALPHA);
  return { estimate: now / before, lower: finite(lower), upper: finite(upper) };
}

function armOf({ versions, devices, predictions, failed, latency, feedback, metrics }: ArmSums): TrialOutcome['new'] {
  return {
    versions: [...versions].toSorted((a, b) => a - b),
    devices: devices.size,
    predictions,
    failed,
    latency: quantilesOf(latency),
    feedback: feedback ?? null,
    metrics: Object.fromEntries([...metrics].flatMap(([name, values]) => [[name, quantilesOf(values)] as const]).flatMap(present)),
  };
}

function present<T>([name, value]: readonly [string, T | null]): [string, T][] {
  return value === null ? [] : [[name, value]];
}

function quantilesOf(sketch: QuantileSketch): z.infer<typeof quantilesSchema> | null {
  const [p50, p95] = [sketch.quantile(0.5), sketch.quantile(0.95)];
  return p50 === undefined || p95 === undefined ? null : { count: sketch.count, p50, p95 };
}

function countOf({ failed, predictions }: ArmSums): Count {
  return { events: failed, exposure: predictions };
}

function judged({ wrong, total }: { readonly wrong: number; readonly total: number }): Count {
  return { events: wrong, exposure: total };
}
