import type { GateFigures } from '../../figures.js';
import type { BurnGate } from '../../gate.js';
import { bare, type GateResult, short } from './result.js';

interface Count {
  readonly events: number;
  readonly exposure: number;
}

/**
 * Speed at which the error budget is used up: fails when it is `factor` times too fast over the long and the short time of any of the
 * windows (Google SRE Workbook, chapter 5, "multiwindow, multi-burn-rate alerts"). The long time says that it is worth something, the short
 * one that it goes on. With few predictions one failure would be a fast burn: then it says nothing ("Low-traffic services", there).
 */
export function burn(figures: Extract<GateFigures, { kind: 'burn' }>, rule: BurnGate): GateResult {
  const budget = 1 - rule.objective;
  const speed = ({ events, exposure }: Count): number => (exposure > 0 ? events / exposure / budget : 0);
  const seen = Math.max(...figures.windows.map((window) => window.long.exposure));
  if (seen < rule.predictions)
    return bare(figures.gate, 'insufficient', `${seen} of ${rule.predictions} predictions in the time looked at`);
  const speeds = figures.windows.map(({ long, short: lately }, i) => {
    const factor = rule.windows[i]?.factor ?? 1;
    const counts = long.exposure >= rule.predictions;
    return { long: speed(long), lately: speed(lately), factor, used: counts ? Math.min(speed(long), speed(lately)) / factor : 0 };
  });
  const [fastest] = speeds.toSorted((a, b) => b.used - a.used);
  if (fastest === undefined) return bare(figures.gate, 'error', 'the gate has no windows');
  const { long, lately, factor, used } = fastest;
  const result = { gate: figures.gate, estimate: long, lower: null, upper: null, alarm: used, clearance: used < 1 ? 1 : 0 };
  const reason = `the error budget burns ${short(long)} times as fast as it lasts (lately ${short(lately)}), ${short(factor)} is the limit`;
  return { ...result, outcome: used >= 1 ? 'fail' : 'pass', reason };
}
