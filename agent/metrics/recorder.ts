import type { Answer, PredictionRecorder, PredictionTarget, PredictionTiming, Recheck, ShadowResult } from '#agent/inference/contract.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { sampleOutputs } from './output-sample.js';
import { TotalSeries, WindowSeries } from './series.js';

/** A window taken out of the recorder: to be stored, or given back. */
export type TakenWindow = readonly WindowSeries[];

/**
 * Counts predictions, in the open window and since the start. INVARIANT: a prediction is in exactly one window: taking the
 * window swaps it for an empty one between two predictions, and one that could not be stored is given back whole.
 */
export class MetricsRecorder implements PredictionRecorder {
  #window = new Map<string, WindowSeries>();
  /** What nothing was counted of for longest is evicted first; a scraper sees its series end. */
  readonly #totals = new BoundedMap<string, TotalSeries>(LIMITS.rememberedVersions);
  readonly #refused = new Map<ErrorCode, number>();

  succeeded(target: PredictionTarget, timing: PredictionTiming, answer?: Answer): void {
    const samples = answer === undefined ? [] : sampleOutputs(answer.outputs);
    this.#open(target).succeeded(timing, samples);
    this.#total(target).succeeded(timing);
    if (answer?.notFinite === true) for (const series of [this.#open(target), this.#total(target)]) series.notFinite();
  }

  failed(target: PredictionTarget | undefined, code: ErrorCode): void {
    if (target === undefined) {
      // Names that no servable has come from outside without bound, so these are counted by code alone.
      this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
      return;
    }
    this.#open(target).failed(code);
    this.#total(target).failed(code);
  }

  crashed(target: PredictionTarget): void {
    this.#open(target).signals.crashed();
  }

  /** It runs, whether or not anything is asked of it: the window says how long, and what the device needed meanwhile. */
  runs(target: PredictionTarget): void {
    this.#open(target);
  }

  rechecked(target: PredictionTarget, result: Recheck): void {
    this.#open(target).signals.rechecked(result);
  }

  shadowed(target: PredictionTarget, result: ShadowResult): void {
    this.#open(target).signals.shadowed(result);
  }

  shadowDropped(target: PredictionTarget): void {
    this.#open(target).signals.shadowDropped();
  }

  /** The application says whether an answer was right. */
  feedback(target: PredictionTarget, correct: boolean): void {
    this.#open(target).signals.feedback(correct);
  }

  /** A number of the application's; false when the window holds as many other names as it may. */
  metric(target: PredictionTarget, name: string, value: number): boolean {
    return this.#open(target).signals.metric(name, value);
  }

  /** Closes the window and opens the next one. */
  take(): TakenWindow {
    const taken = [...this.#window.values()];
    for (const { target } of taken) this.#keepTotal(target);
    this.#window = new Map();
    return taken;
  }

  /** Puts a window that could not be stored back into the open one. */
  giveBack(taken: TakenWindow): void {
    for (const series of taken) this.#open(series.target).merge(series);
  }

  /** Since the start, by what predictions ran on. */
  totals(): readonly TotalSeries[] {
    return [...this.#totals.values()];
  }

  /** Requests that no servable took, since the start, by error code. */
  refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  #open(target: PredictionTarget): WindowSeries {
    const key = `${keyOf(target)}\n${target.role ?? ''}`;
    let series = this.#window.get(key);
    if (series === undefined) this.#window.set(key, (series = new WindowSeries(target)));
    return series;
  }

  #keepTotal(target: PredictionTarget): void {
    const total = this.#totals.get(keyOf(target));
    if (total !== undefined) this.#totals.set(keyOf(target), total); // Now the newest.
  }

  /** Whatever part it played: a scraper knows a version by its labels. */
  #total(target: PredictionTarget): TotalSeries {
    const key = keyOf(target);
    let series = this.#totals.get(key);
    if (series === undefined) this.#totals.set(key, (series = new TotalSeries(target)));
    return series;
  }
}

function keyOf(target: PredictionTarget): string {
  return `${target.model}\n${target.version}\n${target.variant}\n${target.provider}`;
}
