import { asSkerryError } from '#shared/kernel/errors.js';
import type { GateFigures } from '../../figures.js';
import { type Gate, gateName, levelRule, rateLimitOf } from '../../gate-document.js';
import { burn } from './burn.js';
import { compare, type ComparisonRule } from './comparison.js';
import { distance } from './distance.js';
import { install } from './install.js';
import { level } from './level.js';
import { limit, type LimitRule } from './limit.js';
import { bare, type GateResult, type Levels } from './result.js';

/**
 * One gate on its figures: pass, fail, not enough evidence, or an error. Pure. Whatever cannot be computed, and figures of
 * another kind than the gate needs, are an error: a gate never fails open.
 */
export function evaluateGate(gate: Gate, figures: GateFigures | undefined, levels: Levels): GateResult {
  const name = gateName(gate);
  if (figures === undefined) return bare(name, 'error', 'there are no figures for this gate');
  if (figures.kind === 'missing') return bare(name, 'insufficient', figures.why);
  if (figures.kind === 'failed') return bare(name, 'error', figures.why);
  try {
    const result = judge(gate, figures, levels);
    return Number.isFinite(result.alarm) && Number.isFinite(result.clearance) ? result : bare(name, 'error', 'the figures gave no number');
  } catch (thrown) {
    return bare(name, 'error', asSkerryError(thrown).message);
  }
}

function judge(gate: Gate, figures: GateFigures, levels: Levels): GateResult {
  if (gate.gate === 'install' && figures.kind === 'install') return install(figures, gate.atMost, levels);
  if (gate.gate === 'drift' && figures.kind === 'distance') return distance(figures, gate, levels);
  if (gate.gate === 'burn' && figures.kind === 'burn') return burn(figures, gate);
  const rule = levelRule(gate);
  if (rule !== undefined && figures.kind === 'level') return level(figures, rule, levels);
  const comparison = comparisonRule(gate);
  if (comparison !== undefined && figures.kind === 'comparison') return compare(figures, comparison, levels);
  const limits = limitRule(gate);
  if (limits !== undefined && figures.kind === 'rate') return limit(figures, limits, levels);
  return bare(gateName(gate), 'error', `figures of kind "${figures.kind}" do not fit this gate`);
}

function comparisonRule(gate: Gate): ComparisonRule | undefined {
  if (!('tolerate' in gate)) return undefined;
  if ('negligible' in gate) return { tolerate: gate.tolerate, ruleOut: gate.ruleOut, negligible: gate.negligible, what: WHAT[gate.gate] };
  // The factors stretch the thresholds the events were counted with; what is left to compare is the number of events.
  const what = `values above ${gate.tolerate} times the ${gate.quantile * 100} % quantile of ${gateName(gate)}`;
  return { tolerate: 1, ruleOut: 1, negligible: 0, what };
}

const WHAT = { errors: 'failed predictions', crashes: 'crashes per device hour', feedback: 'wrong answers' } as const;

function limitRule(gate: Gate): LimitRule | undefined {
  const fixed = rateLimitOf(gate);
  if (fixed !== undefined) return { atMost: fixed.atMost, ruleOut: fixed.ruleOut, what: fixed.of };
  if (gate.gate === 'disagreement') return { atMost: gate.atMost, ruleOut: gate.ruleOut, what: `answers that differ (${gate.source})` };
  return undefined;
}
