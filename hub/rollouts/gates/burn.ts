import type { GateFigures } from '../figures.js';
import { bare, type GateResult, short } from './result.js';

/**
 * Speed at which the error budget is used up: fails when it is `factor` times too fast over the long and the short time
 * both (Google SRE Workbook, chapter 5, "multiwindow, multi-burn-rate alerts").
 */
export function burn(
  figures: Extract<GateFigures, { kind: 'burn' }>,
  rule: { readonly objective: number; readonly factor: number },
): GateResult {
  const budget = 1 - rule.objective;
  const speed = (window: { events: number; exposure: number }): number | null =>
    window.exposure > 0 ? window.events / window.exposure / budget : null;
  const [long, short_] = [speed(figures.long), speed(figures.short)];
  if (long === null || short_ === null) return bare(figures.gate, 'insufficient', 'no predictions in the time looked at');
  const slower = Math.min(long, short_);
  const result = {
    gate: figures.gate,
    estimate: long,
    lower: null,
    upper: null,
    alarm: slower / rule.factor,
    clearance: slower < rule.factor ? 1 : 0,
  };
  const reason = `the error budget burns ${short(long)} times as fast as it lasts (lately ${short(short_)}), ${short(rule.factor)} is the limit`;
  return { ...result, outcome: slower >= rule.factor ? 'fail' : 'pass', reason };
}
