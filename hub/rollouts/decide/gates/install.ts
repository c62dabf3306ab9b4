import { binomialTail } from '#shared/stats/binomial.js';
import { rateInterval, rateLimitEvidence } from '#shared/stats/rate-limit.js';
import type { GateFigures } from '../../figures.js';
import { finite, type GateResult, type Levels, percent } from './result.js';

/**
 * Chance that a device takes back by itself a version that is no worse: its guard makes two comparisons, each wrong with 1 in 10,000 at
 * most (agent/models/decide/guard.ts).
 */
const WRONGLY_TAKEN_BACK = 2e-4;

/**
 * Devices of the wave that could not take the version up (silent ones as the rollout says). Fails when their share is shown
 * to exceed `atMost`, and when more devices rolled back on their own than chance explains: of the wave's n devices k or more with the
 * binomial tail at `WRONGLY_TAKEN_BACK`. That count only grows and n is fixed, so it may be looked at as often as one likes; each of the two
 * tests has half of the gate's level. Passes when every device is decided and the share seen is within `atMost`.
 */
export function install(figures: Extract<GateFigures, { kind: 'install' }>, atMost: number, levels: Levels): GateResult {
  const decided = figures.installed + figures.failed;
  const count = { events: figures.failed, exposure: decided };
  const devices = figures.installed + figures.failed + figures.silent + figures.pending;
  const need = Math.log(2 / levels.alarm);
  const many = rateLimitEvidence(count, atMost).evidenceAbove / need;
  const back = figures.tookBack > 0 ? -Math.log(binomialTail(figures.tookBack, devices, WRONGLY_TAKEN_BACK)) / need : 0;
  const alarm = Math.max(many, back);
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
  const took = decided === 0 ? 'no device has decided' : `${figures.failed} of ${decided} devices failed to take it up (${percent(share)})`;
  const seen = `${took}, ${figures.pending} undecided, ${figures.silent} silent`;
  if (back >= 1) {
    const reason = `${figures.tookBack} of ${devices} devices rolled back on their own, by chance about 1 in ${1 / WRONGLY_TAKEN_BACK} does; ${seen}`;
    return { ...result, outcome: 'fail', reason };
  }
  if (alarm >= 1) return { ...result, outcome: 'fail', reason: `${seen}: above the ${percent(atMost)} allowed` };
  if (passed) return { ...result, outcome: 'pass', reason: seen };
  return {
    ...result,
    outcome: 'insufficient',
    reason: figures.pending > 0 ? seen : `${seen}: too many to pass, too few to prove a failure`,
  };
}
