import { hasValues, type Signal } from '#shared/signals/signal.js';
import { SIGNALS, type SignalTable } from '#shared/signals/table.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { BurnGate, Gate, LimitGate } from '../gate.js';

interface OfSignal {
  readonly signal: Signal;
}

/** What a gate looks at and how it judges: the gate as written, with what the table of signals says of its signal. */
export type GateRule =
  | { readonly test: 'install'; readonly atMost: number }
  | { readonly test: 'burn'; readonly gate: BurnGate }
  | ({ readonly test: 'rate'; readonly tolerate: number; readonly ruleOut: number; readonly negligible: number } & OfSignal)
  | QuantileRule
  | ({ readonly test: 'limit'; readonly atMost: number; readonly ruleOut: number; readonly isOnShadows: boolean } & OfSignal)
  | LevelRule
  | ({ readonly test: 'distance'; readonly atMost: number; readonly ruleOut: number } & OfSignal);

export interface QuantileRule extends OfSignal {
  readonly test: 'quantile';
  /** Of the number the application reports. */
  readonly name: string | undefined;
  readonly quantile: number;
  readonly harm: 'more' | 'less';
  readonly tolerate: number;
  readonly ruleOut: number;
}

/** What a limit on values looks at: which values, on which side of `limit`, what share of them may lie there. */
export interface LevelRule extends OfSignal {
  readonly test: 'level';
  /** Of the number the application reports. */
  readonly name: string | undefined;
  readonly quantile: number;
  readonly side: 'above' | 'below';
  readonly limit: number;
  /** Beyond `limit`: a pass has to rule it out. */
  readonly ruleOut: number;
}

/** The rule of a gate. Pure; `INTERNAL` for a gate whose signal is not in the table, which no document has. */
export function ruleOf(gate: Gate, table: SignalTable = SIGNALS): GateRule {
  if ('objective' in gate) return { test: 'burn', gate };
  if ('of' in gate) return limitRule(gate, signalOf(gate.of, table));
  if (!('ruleOut' in gate)) return { test: 'install', atMost: gate.atMost };
  const [, signal, definition] = table.gates.find(([name]) => name === gate.gate) ?? [];
  if (signal === undefined || definition === undefined) throw unknown(gate.gate);
  if ('negligible' in gate) return { test: 'rate', signal, ...thresholds(gate), negligible: gate.negligible };
  if ('tolerate' in gate) {
    const harm = definition.test === 'quantile' ? definition.harm : 'more';
    return { test: 'quantile', signal, name: gate.name, quantile: gate.quantile, harm, ...thresholds(gate) };
  }
  const limits = { signal, atMost: gate.atMost, ruleOut: gate.ruleOut };
  if (definition.test === 'distance') return { test: 'distance', ...limits };
  return { test: 'limit', ...limits, isOnShadows: isOnShadows(signal) };
}

function thresholds({ tolerate, ruleOut }: { readonly tolerate: number; readonly ruleOut: number }) {
  return { tolerate, ruleOut };
}

/** `ruleOut` left out lies twice as far for rates, a tenth further for the rest. A lower limit is one on the 5 % quantile unless the gate says. */
function limitRule({ name, quantile, atMost = 0, atLeast, ruleOut }: LimitGate, signal: Signal): GateRule {
  if (!hasValues(signal)) return { test: 'limit', signal, atMost, ruleOut: ruleOut ?? 2 * atMost, isOnShadows: isOnShadows(signal) };
  const limit = atLeast ?? atMost;
  const further = Math.abs(limit) / 10;
  return atLeast === undefined
    ? { test: 'level', signal, name, quantile: quantile ?? 0.95, side: 'above', limit, ruleOut: ruleOut ?? limit + further }
    : { test: 'level', signal, name, quantile: quantile ?? 0.05, side: 'below', limit, ruleOut: ruleOut ?? limit - further };
}

function isOnShadows({ gate }: Signal): boolean {
  return gate?.test === 'limit' && gate.onShadows === true;
}

function signalOf(name: string, table: SignalTable): Signal {
  const signal = table.named(name);
  if (signal === undefined) throw unknown(name);
  return signal;
}

function unknown(name: string): SkerryError {
  return new SkerryError('INTERNAL', `the signal "${name}" of a gate is not in the table of signals`);
}
