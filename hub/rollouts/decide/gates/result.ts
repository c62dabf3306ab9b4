import { z } from 'zod';

/** `error`: the gate could not be computed; it stops the rollout like a failure, and never lets it go on. */
const GATE_OUTCOMES = ['pass', 'fail', 'insufficient', 'error'] as const;

export const gateResultSchema = z.object({
  gate: z.string(),
  outcome: z.enum(GATE_OUTCOMES),
  /** One sentence for a person. */
  reason: z.string(),
  /** What was estimated (a ratio, a rate, a distance) and its confidence bounds at the level of the gate; null: unbounded or unknown. */
  estimate: z.number().nullable(),
  lower: z.number().nullable(),
  upper: z.number().nullable(),
  /** Strength of the evidence that the version is worse, in parts of what a failure needs: 1 fails. */
  alarm: z.number(),
  /** Evidence that it is good enough, in parts of what a pass needs: 1 passes. */
  clearance: z.number(),
});
export type GateResult = z.infer<typeof gateResultSchema>;

/** How sure a gate has to be; from the rollout's budget (`budget.ts`). */
export interface Levels {
  /** Chance of a false alarm. */
  readonly alarm: number;
  /** Chance of letting something pass that is as bad as `ruleOut`. */
  readonly miss: number;
}

/** A result without figures. */
export function bare(gate: string, outcome: GateResult['outcome'], reason: string): GateResult {
  return {
    gate,
    outcome,
    reason,
    estimate: null,
    lower: null,
    upper: null,
    alarm: outcome === 'fail' ? 1 : 0,
    clearance: outcome === 'pass' ? 1 : 0,
  };
}

/** JSON has no infinity: what nothing bounds is null. */
export function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** Three significant digits, for reasons. */
export function short(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? '?' : String(Number(value.toPrecision(3)));
}

export function percent(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? '?' : `${Number((value * 100).toPrecision(3))} %`;
}
