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

/** What has values rather than a rate; a limit on one of their quantiles. */
export const LEVELS = ['latency', 'memory', 'temperature', 'metric'] as const;
export type LevelName = (typeof LEVELS)[number];

const ordered = (gate: { readonly tolerate: number; readonly ruleOut: number }): boolean => gate.ruleOut > gate.tolerate;
const ORDERED = { path: ['ruleOut'], message: 'must be above "tolerate"' };
const limited = (gate: { readonly atMost: number; readonly ruleOut?: number | undefined }): boolean =>
  gate.ruleOut === undefined || gate.ruleOut > gate.atMost;
const LIMITED = { path: ['ruleOut'], message: 'must be above "atMost"' };

const limits = (atMost: number, ruleOut: number) => ({
  atMost: positiveShareSchema.default(atMost),
  ruleOut: positiveShareSchema.default(ruleOut),
});

/** A fixed limit, whatever the devices on the old version do. `ruleOut` left out lies twice as far for rates, a tenth further for the rest. */
const limitGate = { gate: z.literal('limit') };
const limitSchema = z.discriminatedUnion('of', [
  /** A rate, 0 to 1; crashes per device hour. */
  z
    .strictObject({ ...limitGate, of: z.enum(RATES), atMost: z.number().positive(), ruleOut: z.number().positive().optional() })
    .refine(limited, LIMITED),
  /** A quantile: milliseconds, bytes of resident memory, degrees Celsius. */
  z
    .strictObject({
      ...limitGate,
      of: z.enum(['latency', 'memory', 'temperature']),
      quantile: quantile.default(0.95),
      atMost: z.number().positive(),
      ruleOut: z.number().positive().optional(),
    })
    .refine(limited, LIMITED),
  /** A quantile of a number the application reports, from above or from below. */
  z
    .strictObject({
      ...limitGate,
      of: z.literal('metric'),
      name: metricNameSchema,
      quantile: quantile.optional(),
      atMost: z.number().optional(),
      atLeast: z.number().optional(),
      ruleOut: z.number().optional(),
    })
    .refine((gate) => (gate.atMost === undefined) !== (gate.atLeast === undefined), {
      message: 'needs exactly one of "atMost" and "atLeast"',
    })
    .refine((gate) => (gate.atMost ?? gate.atLeast) !== 0 || gate.ruleOut !== undefined, {
      path: ['ruleOut'],
      message: 'has to be given for a limit of 0',
    })
    .refine((gate) => gate.ruleOut === undefined || gate.ruleOut > (gate.atMost ?? Number.NEGATIVE_INFINITY), LIMITED)
    .refine((gate) => gate.ruleOut === undefined || gate.ruleOut < (gate.atLeast ?? Number.POSITIVE_INFINITY), {
      path: ['ruleOut'],
      message: 'must be below "atLeast"',
    }),
]);
export type LimitGate = z.infer<typeof limitSchema>;

/** The pairs of the SRE workbook that stop a rollout: fast burning, and slower over a longer time. */
const burnWindows = [
  { long: '1h', short: '5m', factor: 14.4 },
  { long: '6h', short: '30m', factor: 6 },
];

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
  limitSchema,
  /**
   * Speed at which an error budget is used up: `factor` times too fast over a long and a short time both, for any of the windows (Google
   * SRE Workbook, chapter 5, "multiwindow, multi-burn-rate alerts"). Below `predictions` in a long time it says nothing.
   */
  z.strictObject({
    gate: z.literal('burn'),
    objective: z.number().gt(0).lt(1),
    windows: z
      .array(
        z
          .strictObject({ long: durationSchema, short: durationSchema, factor: z.number().min(1).max(10_000) })
          .refine((window) => window.long > window.short, { path: ['long'], message: 'must be longer than "short"' }),
      )
      .min(1)
      .max(8)
      .prefault(burnWindows),
    predictions: z.int().min(1).max(1e9).default(100),
  }),
]);
export const gateSchema = gateUnion;
export type Gate = z.infer<typeof gateSchema>;
export type GateKind = Gate['gate'];

/** A gate's name within its rollout, shown and recorded. */
export function gateName(gate: Gate): string {
  if (gate.gate === 'metric') return `metric:${gate.name}`;
  if (gate.gate === 'disagreement') return gate.source === 'shadow' ? 'disagreement:shadow' : 'disagreement';
  if (gate.gate === 'limit') return gate.of === 'metric' ? `limit:metric:${gate.name}` : `limit:${gate.of}`;
  return gate.gate;
}

/** True for gates that compare the canary with devices still on the old version. */
export function isComparison(gate: Gate): boolean {
  return 'tolerate' in gate || gate.gate === 'drift';
}

/** True for gates whose evidence of harm is carried through the waves of a rollout. */
export function isCarried(gate: Gate): boolean {
  return 'tolerate' in gate;
}

/** True for gates on copies of requests, which only a shadow makes. */
export function isOnShadows(gate: Gate): boolean {
  return (gate.gate === 'disagreement' && gate.source === 'shadow') || rateLimitOf(gate)?.of === 'shadow-disagreement';
}

/** True for gates that can raise a false alarm by chance; the budget is divided over them. */
export function isStatistical(gate: Gate): boolean {
  return gate.gate !== 'burn';
}

/** What a rollout watches when it does not say. */
export const DEFAULT_GATES: readonly unknown[] = [{ gate: 'install' }, { gate: 'errors' }, { gate: 'latency' }, { gate: 'crashes' }];

/** What a limit gate on values looks at: which values, on which side of `limit`, what share of them may lie there. */
export interface LevelRule {
  readonly of: LevelName;
  /** Of the metric. */
  readonly name: string | undefined;
  readonly quantile: number;
  readonly side: 'above' | 'below';
  readonly limit: number;
  /** Beyond `limit`: a pass has to rule it out. */
  readonly ruleOut: number;
}

/** The rule of a limit gate on values; `undefined` for others. A lower limit is one on the 5 % quantile unless the gate says. */
export function levelRule(gate: Gate): LevelRule | undefined {
  if (gate.gate !== 'limit' || !isLevel(gate)) return undefined;
  const { of, ruleOut, quantile: q } = gate;
  const name = 'name' in gate ? gate.name : undefined;
  const below = 'atLeast' in gate ? gate.atLeast : undefined;
  const limit = below ?? gate.atMost ?? 0;
  const further = Math.abs(limit) / 10;
  return below === undefined
    ? { of, name, quantile: q ?? 0.95, side: 'above', limit, ruleOut: ruleOut ?? limit + further }
    : { of, name, quantile: q ?? 0.05, side: 'below', limit, ruleOut: ruleOut ?? limit - further };
}

type LevelGate = Extract<LimitGate, { of: LevelName }>;

function isLevel(gate: LimitGate): gate is LevelGate {
  return (LEVELS as readonly string[]).includes(gate.of);
}

/** The rate a limit gate looks at, and what a pass has to rule out; `undefined` for others. */
export function rateLimitOf(gate: Gate): { readonly of: RateName; readonly atMost: number; readonly ruleOut: number } | undefined {
  if (gate.gate !== 'limit' || isLevel(gate)) return undefined;
  return { of: gate.of, atMost: gate.atMost, ruleOut: gate.ruleOut ?? 2 * gate.atMost };
}
