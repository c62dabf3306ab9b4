import type { PredictionTarget } from '#agent/inference/contract.js';
import type { MetricsWindow } from '#shared/protocol/messages.js';
import type { Signal } from '#shared/signals/signal.js';
import { Sums } from '#shared/signals/sums.js';
import type { SignalTable } from '#shared/signals/table.js';
import { windowFields } from '#shared/signals/window-schema.js';

/** What happened to one (model, version, variant, provider, role) within one window. */
export class WindowSeries {
  readonly target: PredictionTarget;
  readonly sums: Sums;

  constructor(table: SignalTable, target: PredictionTarget) {
    this.target = target;
    this.sums = new Sums(table);
  }

  note<O>(signal: Signal<O>, observed: O): void {
    this.sums.add(signal, observed);
  }

  /** Adds what `other` holds. */
  merge(other: WindowSeries): void {
    this.sums.merge(other.sums);
  }

  toWindow(): MetricsWindow {
    const { model, version, variant, provider, role } = this.target;
    return { model, version, variant, provider, ...(role === undefined ? {} : { role }), ...windowFields(this.sums) };
  }
}

/** Counts since the agent started, for a scraper. */
export class TotalSeries {
  readonly target: PredictionTarget;
  readonly sums: Sums;

  constructor(table: SignalTable, target: PredictionTarget) {
    this.target = target;
    this.sums = new Sums(table);
  }

  note<O>(signal: Signal<O>, observed: O): void {
    const total = this.sums.table.totalOf(signal);
    if (total !== undefined) this.sums.add(total, observed);
  }
}
