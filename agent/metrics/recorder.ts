import type { Answer, PredictionRecorder, PredictionTarget, PredictionTiming, Recheck, ShadowResult } from '#agent/inference/contract.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { METRICS_PER_WINDOW, ROWS } from '#shared/signals/rows.js';
import type { Signal } from '#shared/signals/signal.js';
import { SIGNALS, type SignalTable } from '#shared/signals/table.js';
import { MAX_MAGNITUDE } from '#shared/stats/sketch-mapping.js';
import { type OutputSample, sampleOutputs } from './output-sample.js';
import { TotalSeries, WindowSeries } from './series.js';

/** A window taken out of the recorder: to be stored, or given back. */
export type TakenWindow = readonly WindowSeries[];

/** Outputs are looked at of so many predictions of a window, and then of one in so many. */
const SAMPLED_FIRST = 64;
const SAMPLED_EVERY = 8;

/** Counts as failed, as the device's own guard has it (behaviour.ts), so that the hub's gates judge by the same. */
const NOT_FINITE: ErrorCode = 'INFERENCE_NOT_FINITE';

/**
 * Counts predictions, in the open window and since the start. INVARIANT: a prediction is in exactly one window: taking the
 * window swaps it for an empty one between two predictions, and one that could not be stored is given back whole.
 */
export class MetricsRecorder implements PredictionRecorder {
  readonly #table: SignalTable;
  #window = new Map<string, WindowSeries>();
  /** What nothing was counted of for longest is evicted first; a scraper sees its series end. */
  readonly #totals = new BoundedMap<string, TotalSeries>(LIMITS.rememberedVersions);
  readonly #refused = new Map<ErrorCode, number>();
  /** Where the last prediction was counted: mostly the next one is the same. */
  #last: { readonly window: WindowSeries; readonly total: TotalSeries } | undefined;

  constructor(table: SignalTable = SIGNALS) {
    this.#table = table;
  }

  /** One measurement of any signal of a version. */
  note<O>(target: PredictionTarget, signal: Signal<O>, observed: O): void {
    this.#open(target).note(signal, observed);
    this.#total(target).note(signal, observed);
  }

  succeeded(target: PredictionTarget, timing: PredictionTiming, answer?: Answer): void {
    const { window, total } = this.#seriesOf(target);
    noteSuccess(window, timing, answer);
    noteSuccess(total, timing, answer);
    if (answer === undefined) return;
    const predictions = window.sums.of(ROWS.predictions) ?? 0;
    if (predictions <= SAMPLED_FIRST || predictions % SAMPLED_EVERY === 0) noteOutputs(window, sampleOutputs(answer.outputs));
  }

  failed(target: PredictionTarget | undefined, code: ErrorCode): void {
    if (target === undefined) {
      // Names that no servable has come from outside without bound, so these are counted by code alone.
      this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
      return;
    }
    this.note(target, ROWS.predictions, 1);
    this.note(target, ROWS.errors, code);
  }

  crashed(target: PredictionTarget): void {
    this.note(target, ROWS.crashes, 1);
  }

  /** It runs, whether or not anything is asked of it: the window says how long, and what the device needed meanwhile. */
  runs(target: PredictionTarget): void {
    this.#open(target);
  }

  rechecked(target: PredictionTarget, { run, wrong }: Recheck): void {
    this.note(target, ROWS.golden, { run, wrong });
  }

  shadowed(target: PredictionTarget, { agrees, maxError, cost }: ShadowResult): void {
    const error = Math.min(Number.isFinite(maxError) ? maxError : MAX_MAGNITUDE, MAX_MAGNITUDE);
    this.note(target, ROWS.shadow, { compared: 1, disagreed: agrees ? 0 : 1, maxError: error, cost: Math.max(0, cost) });
  }

  shadowDropped(target: PredictionTarget): void {
    this.note(target, ROWS.shadow, { dropped: 1 });
  }

  /** The application says whether an answer was right. */
  feedback(target: PredictionTarget, correct: boolean): void {
    this.note(target, ROWS.feedback, { total: 1, wrong: correct ? 0 : 1 });
  }

  /** A number of the application's; false when the window holds as many other names as it may. */
  metric(target: PredictionTarget, name: string, value: number): boolean {
    const known = this.#open(target).sums.of(ROWS.metric);
    if (known !== undefined && known.size >= METRICS_PER_WINDOW && !known.has(name)) return false;
    this.note(target, ROWS.metric, { name, observed: value });
    return true;
  }

  /** Closes the window and opens the next one. */
  take(): TakenWindow {
    const taken = [...this.#window.values()];
    for (const { target } of taken) this.#keepTotal(target);
    this.#window = new Map();
    this.#last = undefined;
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

  #seriesOf(target: PredictionTarget): { readonly window: WindowSeries; readonly total: TotalSeries } {
    if (this.#last !== undefined && isSame(this.#last.window.target, target)) return this.#last;
    const [window, total] = [this.#open(target), this.#total(target)];
    return (this.#last = { window, total });
  }

  #open(target: PredictionTarget): WindowSeries {
    const key = `${keyOf(target)}\n${target.role ?? ''}`;
    let series = this.#window.get(key);
    if (series === undefined) this.#window.set(key, (series = new WindowSeries(this.#table, target)));
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
    if (series !== undefined) return series;
    // It may take the place of another.
    this.#last = undefined;
    this.#totals.set(key, (series = new TotalSeries(this.#table, target)));
    return series;
  }
}

function isSame(one: PredictionTarget, other: PredictionTarget): boolean {
  return (
    one.version === other.version &&
    one.model === other.model &&
    one.variant === other.variant &&
    one.provider === other.provider &&
    one.role === other.role
  );
}

function noteSuccess(series: WindowSeries | TotalSeries, timing: PredictionTiming, answer: Answer | undefined): void {
  series.note(ROWS.predictions, 1);
  series.note(ROWS.queue, Math.max(0, timing.queue));
  series.note(ROWS.compute, Math.max(0, timing.compute));
  series.note(ROWS.latency, Math.max(0, timing.total));
  // The answer was counted, and held values that are not finite.
  if (answer?.notFinite === true) series.note(ROWS.errors, NOT_FINITE);
}

function keyOf(target: PredictionTarget): string {
  return `${target.model}\n${target.version}\n${target.variant}\n${target.provider}`;
}

function noteOutputs(window: WindowSeries, samples: readonly OutputSample[]): void {
  for (const { name, values } of samples) {
    for (const value of values) {
      // What no sketch holds is worse than any number there is.
      const observed = Math.abs(value) <= MAX_MAGNITUDE ? { values: value } : { notFinite: 1 };
      window.note(ROWS.outputs, { name, observed });
    }
  }
}
