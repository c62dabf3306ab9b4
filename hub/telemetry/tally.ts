import { hours } from '#shared/kernel/time.js';
import { ROWS } from '#shared/signals/rows.js';
import type { Signal } from '#shared/signals/signal.js';
import type { Sums } from '#shared/signals/sums.js';
import { failuresOf } from './failures.js';

/** Events, and what they could have happened to. */
export interface Tally {
  readonly events: number;
  readonly exposure: number;
}

/** Failed predictions of all that could fail; `countRefused` as `failuresOf` has it. */
export function failedOf(sums: Sums, countRefused = false): Tally {
  const { failed, exposure } = failuresOf(sums.of(ROWS.predictions) ?? 0, sums.of(ROWS.errors) ?? new Map(), countRefused);
  return { events: failed, exposure };
}

/** The rate of a signal as the table has it; `undefined` when nothing was measured it could be told from. */
export function tallyOf(signal: Signal, sums: Sums, countRefused = false): Tally | undefined {
  const { rate } = signal;
  if (rate === undefined) return undefined;
  if (signal === ROWS.errors) return failedOf(sums, countRefused);
  const value = sums.of(signal);
  if ('of' in rate) return value === undefined ? undefined : { events: member(value, rate.events), exposure: member(value, rate.of) };
  const events = value === undefined ? 0 : signal.form.counts(value).reduce((sum, count) => sum + count, 0);
  if (rate.per === 'prediction') return { events, exposure: failedOf(sums, countRefused).exposure };
  const watched = sums.of(ROWS.watched) ?? 0;
  return watched === 0 ? undefined : { events, exposure: watched / hours(1) };
}

function member(value: unknown, name: string): number {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  return typeof found === 'number' ? found : 0;
}
