import { z } from 'zod';
import { durationSchema } from '#shared/kernel/duration.js';
import { metricNameSchema } from '#shared/signals/rows.js';
import { hasValues, isNamed, type Signal, type SignalGate } from '#shared/signals/signal.js';
import { SIGNALS, type SignalTable } from '#shared/signals/table.js';
import { positiveShareSchema, shareSchema } from './document-parts.js';
import type { Gate, LimitGate } from './gate.js';
import { ruleOf } from './decide/gate-rule.js';

// Gates as people write them. Which signals have one, and with which thresholds, says the table of signals.

const factor = z.number().min(1).max(1000);
const quantile = z.number().min(0.01).max(0.999);

const comparison = ({ tolerate, ruleOut }: { readonly tolerate: number; readonly ruleOut: number }) => ({
  tolerate: factor.default(tolerate),
  ruleOut: factor.default(ruleOut),
});
const ordered = (gate: { readonly tolerate: number; readonly ruleOut: number }): boolean => gate.ruleOut > gate.tolerate;
const ORDERED = { path: ['ruleOut'], message: 'must be above "tolerate"' };
const limited = (gate: { readonly atMost: number; readonly ruleOut?: number | undefined }): boolean =>
  gate.ruleOut === undefined || gate.ruleOut > gate.atMost;
const LIMITED = { path: ['ruleOut'], message: 'must be above "atMost"' };

/** The schema of a signal's own gate. */
function signalGateSchema(name: string, signal: Signal, gate: SignalGate) {
  const literal = { gate: z.literal(name) };
  if (gate.test === 'rate') {
    // Per device hour, or a share of what could fail.
    const rate =
      signal.rate !== undefined && 'per' in signal.rate && signal.rate.per === 'hour' ? z.number().min(0).max(1000) : shareSchema;
    return z.strictObject({ ...literal, ...comparison(gate), negligible: rate.default(gate.negligible) }).refine(ordered, ORDERED);
  }
  if (gate.test === 'quantile') {
    const rule = { quantile: quantile.default(gate.quantile), ...comparison(gate) };
    if (isNamed(signal)) return z.strictObject({ ...literal, name: metricNameSchema, ...rule }).refine(ordered, ORDERED);
    return z.strictObject({ ...literal, ...rule }).refine(ordered, ORDERED);
  }
  const limits = { atMost: positiveShareSchema.default(gate.atMost), ruleOut: positiveShareSchema.default(gate.ruleOut) };
  return z.strictObject({ ...literal, ...limits }).refine(limited, LIMITED);
}

/** The schema of a fixed limit on a signal: on its rate, or on a quantile of its values from above or from below. */
function limitSchema(signal: Signal) {
  const literal = { gate: z.literal('limit'), of: z.literal(signal.name) };
  if (!hasValues(signal)) {
    return z
      .strictObject({ ...literal, atMost: z.number().positive(), ruleOut: z.number().positive().optional() })
      .refine(limited, LIMITED);
  }
  if (isNamed(signal)) return onOneSide(z.strictObject({ ...literal, name: metricNameSchema, ...levelShape }));
  return onOneSide(z.strictObject({ ...literal, ...levelShape }));
}

const levelShape = {
  quantile: quantile.optional(),
  atMost: z.number().optional(),
  atLeast: z.number().optional(),
  ruleOut: z.number().optional(),
};

function onOneSide<S extends z.ZodType<LimitGate>>(schema: S): S {
  return schema
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
    });
}

/** The pairs of the SRE workbook that stop a rollout: fast burning, and slower over a longer time. */
const burnWindows = [
  { long: '1h', short: '5m', factor: 14.4 },
  { long: '6h', short: '30m', factor: 6 },
];

const installSchema = z.strictObject({ gate: z.literal('install'), atMost: positiveShareSchema.default(0.05) });
const burnSchema = z.strictObject({
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
});

/** The schema of gates on the signals of a table. */
export function gateSchemaOf(table: SignalTable): z.ZodType<Gate> {
  const [first, ...others] = table.rows.filter((row) => row.rate !== undefined || hasValues(row)).map(limitSchema);
  const limits = first === undefined ? [] : [z.discriminatedUnion('of', [first, ...others])];
  const own = table.gates.map(([name, signal, gate]) => signalGateSchema(name, signal, gate));
  return z.discriminatedUnion('gate', [installSchema, ...own, ...limits, burnSchema]);
}

export const gateSchema = gateSchemaOf(SIGNALS);

/** A gate's name within its rollout, shown and recorded. */
export function gateName(gate: Gate): string {
  const name = 'name' in gate && gate.name !== undefined ? `:${gate.name}` : '';
  return 'of' in gate ? `limit:${gate.of}${name}` : `${gate.gate}${name}`;
}

/** True for gates that compare the canary with devices still on the old version. */
export function isComparison(gate: Gate): boolean {
  return isCarried(gate) || ruleOf(gate).test === 'distance';
}

/** True for gates whose evidence of harm is carried through the waves of a rollout. */
export function isCarried(gate: Gate): boolean {
  return 'tolerate' in gate;
}

/** True for gates on copies of requests, which only a shadow makes. */
export function isOnShadows(gate: Gate): boolean {
  const rule = ruleOf(gate);
  return rule.test === 'limit' && rule.isOnShadows;
}

/** True for gates that can raise a false alarm by chance; the budget is divided over them. */
export function isStatistical(gate: Gate): boolean {
  return gate.gate !== 'burn';
}

/** What a rollout watches when it does not say. */
export const DEFAULT_GATES: readonly unknown[] = [{ gate: 'install' }, { gate: 'errors' }, { gate: 'latency' }, { gate: 'crashes' }];
