import { rateInterval, rateLimitEvidence } from '#shared/stats/rate-limit.js';
import type { GateFigures } from '../../figures.js';
import { finite, type GateResult, type Levels, percent } from './result.js';

interface LimitRule {
  readonly atMost: number;
  readonly ruleOut: number;
  readonly what: string;
}

/** One rate against a fixed limit: fails when shown to exceed `atMost`, passes when shown to stay below `ruleOut`. */
export function limit(figures: Extract<GateFigures, { kind: 'rate' }>, rule: LimitRule, levels: Levels): GateResult {
  const above = rateLimitEvidence(figures, rule.atMost).evidenceAbove / Math.log(1 / levels.alarm);
  const below = rateLimitEvidence(figures, rule.ruleOut).evidenceBelow / Math.log(1 / levels.miss);
  const interval = rateInterval(figures, levels.miss);
  const estimate = figures.exposure > 0 ? figures.events / figures.exposure : null;
  const result = {
    gate: figures.gate,
    estimate,
    lower: finite(interval.lower),
    upper: finite(interval.upper),
    alarm: Math.max(0, above),
    clearance: Math.max(0, below),
  };
  const seen = `${rule.what}: ${percent(estimate)} (${percent(result.lower)} to ${percent(result.upper)})`;
  if (above >= 1) return { ...result, outcome: 'fail', reason: `${seen}, above the limit of ${percent(rule.atMost)}` };
  if (below >= 1) return { ...result, outcome: 'pass', reason: `${seen}; ${percent(rule.ruleOut)} is ruled out` };
  return { ...result, outcome: 'insufficient', reason: `${seen}; not enough evidence yet` };
}
