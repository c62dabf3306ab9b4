import type { PredictionRecorder, PredictionTarget, PredictionTiming } from '#agent/inference/contract.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { TotalSeries, WindowSeries } from './series.js';

/** A window taken out of the recorder: to be stored, or given back. */
export type TakenWindow = readonly WindowSeries[];

/**
 * Counts predictions, in the open window and since the start. INVARIANT: a prediction is in exactly one window: taking the
 * window swaps it for an empty one between two predictions, and one that could not be stored is given back whole.
 */
export class MetricsRecorder implements PredictionRecorder {
  #window = new Map<string, WindowSeries>();
  readonly #totals = new Map<string, TotalSeries>();
  readonly #refused = new Map<ErrorCode, number>();

  succeeded(target: PredictionTarget, timing: PredictionTiming): void {
    const key = keyOf(target);
    this.#open(key, target).succeeded(timing);
    this.#total(key, target).succeeded(timing);
  }

  failed(target: PredictionTarget | undefined, code: ErrorCode): void {
    if (target === undefined) {
      // Names that no servable has come from outside without bound, so these are counted by code alone.
      this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
      return;
    }
    const key = keyOf(target);
    this.#open(key, target).failed(code);
    this.#total(key, target).failed(code);
  }

  /** Closes the window and opens the next one. */
  take(): TakenWindow {
    const taken = [...this.#window.values()];
    this.#window = new Map();
    return taken;
  }

  /** Puts a window that could not be stored back into the open one. */
  giveBack(taken: TakenWindow): void {
    for (const series of taken) this.#open(keyOf(series.target), series.target).merge(series);
  }

  /** Since the start, by what predictions ran on. */
  totals(): readonly TotalSeries[] {
    return [...this.#totals.values()];
  }

  /** Requests that no servable took, since the start, by error code. */
  refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  #open(key: string, target: PredictionTarget): WindowSeries {
    let series = this.#window.get(key);
    if (series === undefined) this.#window.set(key, (series = new WindowSeries(target)));
    return series;
  }

  #total(key: string, target: PredictionTarget): TotalSeries {
    let series = this.#totals.get(key);
    if (series === undefined) this.#totals.set(key, (series = new TotalSeries(target)));
    return series;
  }
}

function keyOf(target: PredictionTarget): string {
  return `${target.model}\n${target.version}\n${target.variant}\n${target.provider}`;
}
