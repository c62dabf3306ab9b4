import { kolmogorovSmirnov } from '#shared/stats/drift.js';
import { bandRadius } from '#shared/stats/quantile-sequence.js';
import type { GateFigures } from '../../figures.js';
import { bare, type GateResult, type Levels, short } from './result.js';

type Figures = Extract<GateFigures, { kind: 'distance' }>;
interface Rule {
  readonly atMost: number;
  readonly ruleOut: number;
}

/**
 * Kolmogorov-Smirnov distance between the outputs of canary and control, within bands that hold at all times
 * (shared/stats/quantile-sequence.ts); sample sizes are divided by the variation between devices. Each output is judged on
 * its own and the worst speaks for all; the level for alarms is divided over them.
 */
export function distance(figures: Figures, rule: Rule, levels: Levels): GateResult {
  const shared = { ...levels, alarm: levels.alarm / figures.outputs.length };
  const results = figures.outputs.map((output) => judge(figures.gate, output, rule, shared));
  const rank = { fail: 0, error: 1, insufficient: 2, pass: 3 } as const;
  const [worst] = results.toSorted((a, b) => rank[a.outcome] - rank[b.outcome] || b.alarm - a.alarm);
  return worst ?? bare(figures.gate, 'insufficient', 'no outputs of both versions yet');
}

function judge(gate: string, output: Figures['outputs'][number], rule: Rule, levels: Levels): GateResult {
  const [canary, control] = [total(output.canary), total(output.control)];
  if (canary === 0 || control === 0) return bare(gate, 'insufficient', `no values of the output "${output.name}" of both versions yet`);
  const estimate = kolmogorovSmirnov(output.canary, output.control);
  const radius = (level: number): number =>
    bandRadius(canary / output.dispersion, level / 2) + bandRadius(control / output.dispersion, level / 2);
  const lower = Math.max(0, estimate - radius(levels.alarm));
  const upper = Math.min(1, estimate + radius(levels.miss));
  const result = { gate, estimate, lower, upper, alarm: lower / rule.atMost, clearance: Math.min(1, rule.ruleOut / upper) };
  const seen = `distance of the output "${output.name}": ${short(estimate)} (${short(lower)} to ${short(upper)})`;
  if (lower > rule.atMost) return { ...result, outcome: 'fail', reason: `${seen}, above ${short(rule.atMost)}` };
  if (upper < rule.ruleOut) return { ...result, outcome: 'pass', reason: `${seen}; ${short(rule.ruleOut)} is ruled out` };
  return { ...result, outcome: 'insufficient', reason: `${seen}; not enough evidence yet` };
}

function total(histogram: readonly number[]): number {
  return histogram.reduce((sum, count) => sum + count, 0);
}
