import { rateInterval, rateLimitEvidence } from '#shared/stats/rate-limit.js';
import type { GateFigures } from '../figures.js';
import { finite, type GateResult, type Levels, percent } from './result.js';

/**
 * Devices of the wave that could not take the version up (silent ones as the rollout says). Fails when their share is shown
 * to exceed `atMost`; passes when every device is decided and the share seen is within it.
 */
export function install(figures: Extract<GateFigures, { kind: 'install' }>, atMost: number, levels: Levels): GateResult {
  const decided = figures.installed + figures.failed;
  const count = { events: figures.failed, exposure: decided };
  const alarm = rateLimitEvidence(count, atMost).evidenceAbove / Math.log(1 / levels.alarm);
  const share = decided > 0 ? figures.failed / decided : null;
  const interval = rateInterval(count, levels.miss);
  // A wave nobody falls into (60 % and 100 % of one device are the same device) has nothing to fail at; silence is another matter.
  const empty = decided === 0 && figures.pending === 0 && figures.silent === 0;
  const passed = empty || (figures.pending === 0 && share !== null && share <= atMost);
  const result = {
    gate: figures.gate,
    estimate: share,
    lower: finite(interval.lower),
    upper: finite(Math.min(1, interval.upper)),
    alarm: Math.max(0, alarm),
    clearance: passed ? 1 : 0,
  };
  const seen = `${figures.failed} of ${decided} devices failed to take it up (${percent(share)}), ${figures.pending} undecided, ${figures.silent} silent`;
  if (alarm >= 1) return { ...result, outcome: 'fail', reason: `${seen}: above the ${percent(atMost)} allowed` };
  if (passed) return { ...result, outcome: 'pass', reason: seen };
  return {
    ...result,
    outcome: 'insufficient',
    reason: figures.pending > 0 ? seen : `${seen}: too many to pass, too few to prove a failure`,
  };
}
