import { z } from 'zod';
import { durationSchema } from '#shared/kernel/duration.js';
import { positiveShareSchema, shareSchema } from './document-parts.js';

const factor = z.number().min(1).max(1000);
/** Comparison with the control: stop above `tolerate` times it, go on once `ruleOut` times it is ruled out. */
const comparison = (tolerate: number, ruleOut: number) => ({
  tolerate: factor.default(tolerate),
  ruleOut: factor.default(ruleOut),
});
const quantile = z.number().min(0.01).max(0.999);
/** Name of a number the application reports. */
export const metricNameSchema = z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,62}$/, 'lower-case letters, digits, "_", "." and "-", at most 63');

/** What can be counted per prediction, per compared pair, or per device hour. */
export const RATES = ['errors', 'crashes', 'disagreement', 'shadow-disagreement', 'wrong-answers'] as const;
export type RateName = (typeof RATES)[number];

const ordered = (gate: { readonly tolerate: number; readonly ruleOut: number }): boolean => gate.ruleOut > gate.tolerate;
const ORDERED = { path: ['ruleOut'], message: 'must be above "tolerate"' };
const limited = (gate: { readonly atMost: number; readonly ruleOut: number }): boolean => gate.ruleOut > gate.atMost;
const LIMITED = { path: ['ruleOut'], message: 'must be above "atMost"' };

const limits = (atMost: number, ruleOut: number) => ({
  atMost: positiveShareSchema.default(atMost),
  ruleOut: positiveShareSchema.default(ruleOut),
});

const gateUnion = z.discriminatedUnion('gate', [
  /** Devices of the wave that could not take the version up. */
  z.strictObject({ gate: z.literal('install'), atMost: positiveShareSchema.default(0.05) }),
  /** Failed predictions per prediction. Rates up to `negligible` pass without a comparison. */
  z.strictObject({ gate: z.literal('errors'), ...comparison(1.25, 2), negligible: shareSchema.default(0.0005) }).refine(ordered, ORDERED),
  /** Abnormal ends of the agent or an instance per device hour; `negligible` in the same unit. */
  z
    .strictObject({ gate: z.literal('crashes'), ...comparison(1.5, 3), negligible: z.number().min(0).max(1000).default(0.2) })
    .refine(ordered, ORDERED),
  /** Wrong answers per labelled prediction. */
  z.strictObject({ gate: z.literal('feedback'), ...comparison(1.1, 1.5), negligible: shareSchema.default(0) }).refine(ordered, ORDERED),
  /** A quantile of the time a request takes. */
  z.strictObject({ gate: z.literal('latency'), quantile: quantile.default(0.95), ...comparison(1.2, 1.5) }).refine(ordered, ORDERED),
  /** The agent's resident memory. */
  z.strictObject({ gate: z.literal('memory'), quantile: quantile.default(0.9), ...comparison(1.2, 1.5) }).refine(ordered, ORDERED),
  /** The device's temperature in kelvin is compared, so that 10 % means the same at any level. */
  z.strictObject({ gate: z.literal('temperature'), quantile: quantile.default(0.9), ...comparison(1.03, 1.06) }).refine(ordered, ORDERED),
  /** A number the application reports, positive, larger is worse. */
  z
    .strictObject({ gate: z.literal('metric'), name: metricNameSchema, quantile: quantile.default(0.9), ...comparison(1.2, 1.5) })
    .refine(ordered, ORDERED),
  /** Answers that differ from the golden samples, or in shadow from the old version's. */
  z
    .strictObject({ gate: z.literal('disagreement'), source: z.enum(['golden', 'shadow']).default('golden'), ...limits(0.01, 0.03) })
    .refine(limited, LIMITED),
  /** Distance between the outputs of canary and control (Kolmogorov-Smirnov, 0 to 1). */
  z.strictObject({ gate: z.literal('drift'), ...limits(0.1, 0.25) }).refine(limited, LIMITED),
  /** A fixed limit on a rate. */
  z
    .strictObject({ gate: z.literal('limit'), of: z.enum(RATES), atMost: z.number().positive(), ruleOut: z.number().positive() })
    .refine(limited, LIMITED),
  /** Speed at which an error budget is used up, over a long and a short time (Google SRE Workbook, chapter 5). */
  z
    .strictObject({
      gate: z.literal('burn'),
      objective: z.number().gt(0).lt(1),
      factor: z.number().min(1).max(10_000).default(14.4),
      long: durationSchema.default(3_600_000),
      short: durationSchema.default(300_000),
    })
    .refine((gate) => gate.long > gate.short, { path: ['long'], message: 'must be longer than "short"' }),
]);
export const gateSchema = gateUnion;
export type Gate = z.infer<typeof gateSchema>;
export type GateKind = Gate['gate'];

/** A gate's name within its rollout, shown and recorded. */
export function gateName(gate: Gate): string {
  if (gate.gate === 'metric') return `metric:${gate.name}`;
  if (gate.gate === 'disagreement') return gate.source === 'shadow' ? 'disagreement:shadow' : 'disagreement';
  if (gate.gate === 'limit') return `limit:${gate.of}`;
  return gate.gate;
}

/** True for gates that compare the canary with devices still on the old version. */
export function isComparison(gate: Gate): boolean {
  return 'tolerate' in gate || gate.gate === 'drift';
}

/** True for gates that can raise a false alarm by chance; the budget is divided over them. */
export function isStatistical(gate: Gate): boolean {
  return gate.gate !== 'burn';
}

/** What a rollout watches when it does not say. */
export const DEFAULT_GATES: readonly unknown[] = [{ gate: 'install' }, { gate: 'errors' }, { gate: 'latency' }, { gate: 'crashes' }];
