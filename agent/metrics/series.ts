import type { PredictionTarget, PredictionTiming } from '#agent/inference/contract.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { MetricsWindow } from '#shared/protocol/messages.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import type { OutputSample } from './output-sample.js';
import { WindowSignals } from './window-signals.js';

/** Outputs are looked at of so many predictions of a window, and then of one in so many. */
const SAMPLED_FIRST = 64;
const SAMPLED_EVERY = 8;

/** Upper bounds of the histograms, milliseconds: from what a tiny model takes to what a slow device takes. */
export const BUCKETS_MS: readonly number[] = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

export const PHASES = ['queue', 'compute', 'total'] as const;
export type Phase = (typeof PHASES)[number];

/** What happened to one (model, version, variant, provider, role) within one window. */
export class WindowSeries {
  readonly target: PredictionTarget;
  /** Answered and failed ones. */
  predictions = 0;
  /** At most one of each prediction; of answered ones only that the answer was no number. */
  readonly errors = new Map<string, number>();
  /** Of the answered ones, milliseconds. */
  readonly sketches: Readonly<Record<Phase, QuantileSketch>> = {
    queue: new QuantileSketch(),
    compute: new QuantileSketch(),
    total: new QuantileSketch(),
  };
  readonly signals = new WindowSignals();

  constructor(target: PredictionTarget) {
    this.target = target;
  }

  succeeded(timing: PredictionTiming, outputs: readonly OutputSample[]): void {
    this.predictions++;
    if (this.predictions <= SAMPLED_FIRST || this.predictions % SAMPLED_EVERY === 0) this.signals.outputs(outputs);
    for (const phase of PHASES) this.sketches[phase].add(Math.max(0, timing[phase]));
  }

  failed(code: string): void {
    this.predictions++;
    countCode(this.errors, code);
  }

  /** An answer that was counted held values that are not finite. */
  notFinite(): void {
    countCode(this.errors, NOT_FINITE);
  }

  /** Adds what `other` holds. */
  merge(other: WindowSeries): void {
    this.predictions += other.predictions;
    for (const [code, count] of other.errors) this.errors.set(code, (this.errors.get(code) ?? 0) + count);
    for (const phase of PHASES) this.sketches[phase].merge(other.sketches[phase]);
    this.signals.merge(other.signals);
  }

  toWindow(): MetricsWindow {
    const { model, version, variant, provider, role } = this.target;
    return {
      model,
      version,
      variant,
      provider,
      predictions: this.predictions,
      errors: Object.fromEntries(this.errors),
      queue: this.sketches.queue.encode(),
      compute: this.sketches.compute.encode(),
      total: this.sketches.total.encode(),
      ...(role === undefined ? {} : { role }),
      ...this.signals.toWindow(),
    };
  }
}

/** Counts since the agent started, for a scraper. */
export class TotalSeries {
  readonly target: PredictionTarget;
  predictions = 0;
  readonly errors = new Map<string, number>();
  /** Counts per bucket (not cumulative), the last one beyond the largest bound; and the sum of the values, milliseconds. */
  readonly histograms: Readonly<Record<Phase, { readonly counts: number[]; sum: number }>> = {
    queue: emptyHistogram(),
    compute: emptyHistogram(),
    total: emptyHistogram(),
  };

  constructor(target: PredictionTarget) {
    this.target = target;
  }

  succeeded(timing: PredictionTiming): void {
    this.predictions++;
    for (const phase of PHASES) {
      const value = timing[phase];
      const histogram = this.histograms[phase];
      const at = BUCKETS_MS.findIndex((bound) => value <= bound);
      const bucket = at < 0 ? BUCKETS_MS.length : at;
      histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
      histogram.sum += value;
    }
  }

  failed(code: string): void {
    this.predictions++;
    countCode(this.errors, code);
  }

  /** An answer that was counted held values that are not finite. */
  notFinite(): void {
    countCode(this.errors, NOT_FINITE);
  }
}

/** Counts as failed, as the device's own guard has it (behaviour.ts), so that the hub's gates judge by the same. */
const NOT_FINITE: ErrorCode = 'INFERENCE_NOT_FINITE';

function countCode(errors: Map<string, number>, code: string): void {
  errors.set(code, (errors.get(code) ?? 0) + 1);
}

function emptyHistogram(): { readonly counts: number[]; sum: number } {
  return { counts: Array.from({ length: BUCKETS_MS.length + 1 }, () => 0), sum: 0 };
}
