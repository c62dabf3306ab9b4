import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Baseline, Quantiles, Tally } from '../decide/evidence/window.js';
import { metricKey } from './needs.js';

const pair = z.tuple([z.number(), z.number()]);

/** A baseline as it is stored: counts as [events, exposure], quantiles by distribution and by which quantile. */
const storedSchema = z.object({
  errors: pair,
  crashes: pair.optional(),
  feedback: pair.optional(),
  quantiles: z.record(z.string(), z.record(z.string(), z.number())),
});
export type StoredBaseline = z.infer<typeof storedSchema>;

/** Reads what `JSON.stringify` wrote of one; `null` stands for a device without history. `INTERNAL` for anything else. */
export function readBaseline(text: string): StoredBaseline | undefined {
  const result = storedSchema.nullable().safeParse(JSON.parse(text));
  if (!result.success) throw new SkerryError('INTERNAL', 'a stored baseline cannot be read', { cause: result.error });
  return result.data ?? undefined;
}

/** The baseline as gates use it. */
export function baselineOf(stored: StoredBaseline): Baseline {
  const { errors, crashes, feedback, quantiles } = stored;
  const of = (name: string): Quantiles | undefined => {
    const known = quantiles[name];
    return known === undefined ? undefined : { quantile: (q) => known[String(q)] };
  };
  const named = (['latency', 'memory', 'temperature'] as const).flatMap((name) => {
    const values = of(name);
    return values === undefined ? [] : [[name, values] as const];
  });
  const prefix = metricKey('');
  const metrics = Object.keys(quantiles).flatMap((key) => {
    const values = key.startsWith(prefix) ? of(key) : undefined;
    return values === undefined ? [] : [[key.slice(prefix.length), values] as const];
  });
  return {
    errors: tally(errors),
    ...(crashes && { crashes: tally(crashes) }),
    ...(feedback && { feedback: tally(feedback) }),
    ...Object.fromEntries(named),
    ...(metrics.length === 0 ? {} : { metrics: Object.fromEntries(metrics) }),
  };
}

function tally([events, exposure]: readonly [number, number]): Tally {
  return { events, exposure };
}
