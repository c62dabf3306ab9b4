import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Baseline } from '../decide/evidence/window.js';

const pair = z.tuple([z.number(), z.number()]);

/** A baseline as it is stored: counts as [events, exposure] by signal, quantiles by the key of the values and by which quantile. */
const storedSchema = z.object({
  tallies: z.record(z.string(), pair),
  values: z.record(z.string(), z.record(z.string(), z.number())),
});
export type StoredBaseline = z.infer<typeof storedSchema>;

/** Reads what `JSON.stringify` wrote of one; `null` stands for a device without history. `INTERNAL` for anything else. */
export function readBaseline(text: string): StoredBaseline | undefined {
  const result = storedSchema.nullable().safeParse(JSON.parse(text));
  if (!result.success) throw new SkerryError('INTERNAL', 'a stored baseline cannot be read', { cause: result.error });
  return result.data ?? undefined;
}

/** The baseline as gates use it. */
export function baselineOf({ tallies, values }: StoredBaseline): Baseline {
  const counted = Object.entries(tallies).map(([name, [events, exposure]]) => [name, { events, exposure }] as const);
  const known = Object.entries(values).map(([key, quantiles]) => [key, { quantile: (q: number) => quantiles[String(q)] }] as const);
  return { tallies: { errors: { events: 0, exposure: 0 }, ...Object.fromEntries(counted) }, values: Object.fromEntries(known) };
}
