import { ROWS } from '#shared/signals/rows.js';
import type { Signal } from '#shared/signals/signal.js';
import type { SignalTable } from '#shared/signals/table.js';
import type { Gate } from '../gate.js';
import { ruleOf } from '../decide/gate-rule.js';
import { valuesKey } from '../decide/evidence/window.js';

/** What of a device's measurements gates look at: the rest is not unpacked, since that is most of the work. */
export interface Needs {
  /** Signals of which the rate is wanted. */
  readonly rates: ReadonlySet<Signal>;
  /** Signals of which the values are wanted, by the key of the values; `name` of a number the application reports. */
  readonly values: ReadonlyMap<string, { readonly signal: Signal; readonly name: string | undefined }>;
  readonly outputs: boolean;
  /** Requests refused for what callers sent count as failed (`Plan.narrowed`). */
  readonly refused: boolean;
  /** Quantiles of what a device did before, by the key of the values. */
  readonly quantiles: ReadonlyMap<string, ReadonlySet<number>>;
}

export function needsOf(gates: readonly Gate[], refused = false, table?: SignalTable): Needs {
  const rates = new Set<Signal>([ROWS.errors]);
  const values = new Map<string, { signal: Signal; name: string | undefined }>();
  const quantiles = new Map<string, Set<number>>();
  let outputs = false;
  for (const gate of gates) {
    const rule = ruleOf(gate, table);
    if (rule.test === 'rate' || rule.test === 'limit') rates.add(rule.signal);
    if (rule.test === 'distance') outputs = true;
    if (rule.test !== 'quantile' && rule.test !== 'level') continue;
    const { signal, name, quantile } = rule;
    const key = valuesKey(signal.name, name);
    values.set(key, { signal, name });
    if (rule.test === 'quantile') quantiles.set(key, (quantiles.get(key) ?? new Set()).add(quantile));
  }
  return { rates, values, outputs, refused, quantiles };
}

/** The signals that are needed of what a device did before, with those that say whether it did anything. */
export function signalsOf({ rates, values }: Needs): readonly Signal[] {
  return [...new Set<Signal>([ROWS.predictions, ROWS.watched, ...rates, ...[...values.values()].map(({ signal }) => signal)])];
}
