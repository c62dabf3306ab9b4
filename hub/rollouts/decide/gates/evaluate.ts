import { asSkerryError } from '#shared/kernel/errors.js';
import type { Signal } from '#shared/signals/signal.js';
import type { SignalTable } from '#shared/signals/table.js';
import type { GateFigures } from '../../figures.js';
import type { Gate } from '../../gate.js';
import { gateName } from '../../gate-document.js';
import { type QuantileRule, ruleOf } from '../gate-rule.js';
import { burn } from './burn.js';
import { compare } from './comparison.js';
import { distance } from './distance.js';
import { install } from './install.js';
import { level } from './level.js';
import { limit } from './limit.js';
import { bare, type GateResult, type Levels } from './result.js';

/**
 * One gate on its figures: pass, fail, not enough evidence, or an error. Pure. Whatever cannot be computed, and figures of
 * another kind than the gate needs, are an error: a gate never fails open.
 */
export function evaluateGate(gate: Gate, figures: GateFigures | undefined, levels: Levels, table?: SignalTable): GateResult {
  const name = gateName(gate);
  if (figures === undefined) return bare(name, 'error', 'there are no figures for this gate');
  if (figures.kind === 'missing') return bare(name, 'insufficient', figures.why);
  if (figures.kind === 'failed') return bare(name, 'error', figures.why);
  try {
    const result = judge(gate, figures, levels, table);
    return Number.isFinite(result.alarm) && Number.isFinite(result.clearance) ? result : bare(name, 'error', 'the figures gave no number');
  } catch (thrown) {
    return bare(name, 'error', asSkerryError(thrown).message);
  }
}

function judge(gate: Gate, figures: GateFigures, levels: Levels, table: SignalTable | undefined): GateResult {
  const rule = ruleOf(gate, table);
  if (rule.test === 'install' && figures.kind === 'install') return install(figures, rule.atMost, levels);
  if (rule.test === 'distance' && figures.kind === 'distance') return distance(figures, rule, levels);
  if (rule.test === 'burn' && figures.kind === 'burn') return burn(figures, rule.gate);
  if (rule.test === 'level' && figures.kind === 'level') return level(figures, rule, levels);
  if (rule.test === 'rate' && figures.kind === 'comparison') return compare(figures, { ...rule, what: whatOf(rule) }, levels);
  if (rule.test === 'quantile' && figures.kind === 'comparison') {
    // The factors stretch the thresholds the events were counted with; what is left to compare is the number of events.
    return compare(figures, { tolerate: 1, ruleOut: 1, negligible: 0, what: beyondOf(rule, gateName(gate)) }, levels);
  }
  if (rule.test === 'limit' && figures.kind === 'rate') return limit(figures, { ...rule, what: whatOf(rule) }, levels);
  return bare(gateName(gate), 'error', `figures of kind "${figures.kind}" do not fit this gate`);
}

function whatOf({ signal }: { readonly signal: Signal }): string {
  return signal.rate?.what ?? signal.name;
}

function beyondOf({ harm, tolerate, quantile }: QuantileRule, name: string): string {
  const before = `the ${quantile * 100} % quantile of ${name}`;
  return harm === 'more' ? `values above ${tolerate} times ${before}` : `values below ${before} divided by ${tolerate}`;
}
