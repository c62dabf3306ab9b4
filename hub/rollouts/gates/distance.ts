import { kolmogorovSmirnov } from '#shared/stats/drift.js';
import { bandRadius } from '#shared/stats/quantile-sequence.js';
import type { GateFigures } from '../figures.js';
import { bare, type GateResult, type Levels, short } from './result.js';

/**
 * Kolmogorov-Smirnov distance between the outputs of canary and control, within bands that hold at all times
 * (shared/stats/quantile-sequence.ts); sample sizes are divided by the variation between devices.
 */
export function distance(
  figures: Extract<GateFigures, { kind: 'distance' }>,
  rule: { readonly atMost: number; readonly ruleOut: number },
  levels: Levels,
): GateResult {
  const [canary, control] = [total(figures.canary), total(figures.control)];
  if (canary === 0 || control === 0) return bare(figures.gate, 'insufficient', 'no outputs of both versions yet');
  const estimate = kolmogorovSmirnov(figures.canary, figures.control);
  const radius = (level: number): number =>
    bandRadius(canary / figures.dispersion, level / 2) + bandRadius(control / figures.dispersion, level / 2);
  const lower = Math.max(0, estimate - radius(levels.alarm));
  const upper = Math.min(1, estimate + radius(levels.miss));
  const result = {
    gate: figures.gate,
    estimate,
    lower,
    upper,
    alarm: lower / rule.atMost,
    clearance: upper < rule.ruleOut ? 1 : rule.ruleOut / upper / 2,
  };
  const seen = `distance of the outputs: ${short(estimate)} (${short(lower)} to ${short(upper)})`;
  if (lower > rule.atMost)
    return { ...result, alarm: Math.max(1, result.alarm), outcome: 'fail', reason: `${seen}, above ${short(rule.atMost)}` };
  if (upper < rule.ruleOut) return { ...result, outcome: 'pass', reason: `${seen}; ${short(rule.ruleOut)} is ruled out` };
  return { ...result, outcome: 'insufficient', reason: `${seen}; not enough evidence yet` };
}

function total(histogram: readonly number[]): number {
  return histogram.reduce((sum, count) => sum + count, 0);
}
