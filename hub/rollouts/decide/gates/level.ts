import { rateInterval, rateLimitEvidence } from '#shared/stats/rate-limit.js';
import type { GateFigures } from '../../figures.js';
import type { LevelRule } from '../gate-rule.js';
import { finite, type GateResult, type Levels, percent, short } from './result.js';

/**
 * A quantile against a fixed limit. The q-quantile lies above a limit exactly when more than 1 - q of the values do, so the values beyond
 * the limit are tested as a rate (shared/stats/rate-limit.ts, valid at all times), their number divided by the variation between devices.
 * Fails when shown to lie beyond `limit`, passes when shown to stay within `ruleOut`.
 */
export function level(figures: Extract<GateFigures, { kind: 'level' }>, rule: LevelRule, levels: Levels): GateResult {
  const { gate, events, beyond, exposure, dispersion } = figures;
  const share = rule.side === 'above' ? 1 - rule.quantile : rule.quantile;
  const over = rateLimitEvidence({ events, exposure }, share, dispersion).evidenceAbove / Math.log(1 / levels.alarm);
  const within = rateLimitEvidence({ events: beyond, exposure }, share, dispersion).evidenceBelow / Math.log(1 / levels.miss);
  const interval = rateInterval({ events, exposure }, levels.miss, dispersion);
  const estimate = exposure > 0 ? events / exposure : null;
  const result = {
    gate,
    estimate,
    lower: finite(interval.lower),
    upper: finite(Math.min(1, interval.upper)),
    alarm: Math.max(0, over),
    clearance: Math.max(0, within),
  };
  const what = rule.name ?? rule.signal.name;
  const seen = `${percent(estimate)} of the values of ${what} lie ${rule.side} ${short(rule.limit)} (${percent(result.lower)} to ${percent(result.upper)})`;
  if (over >= 1) return { ...result, outcome: 'fail', reason: `${seen}, more than the ${percent(share)} that may` };
  if (within >= 1) {
    return {
      ...result,
      outcome: 'pass',
      reason: `${seen}; that more than ${percent(share)} lie ${rule.side} ${short(rule.ruleOut)} is ruled out`,
    };
  }
  return { ...result, outcome: 'insufficient', reason: `${seen}, ${percent(share)} may; not enough evidence yet` };
}
