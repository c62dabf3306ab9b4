import { z } from 'zod';
import { QuantileSketch } from '#shared/stats/sketch.js';
import { emptySignals, mergeSignals, readSignals, type Signals, writeSignals } from './signals.js';

/** Counts and latencies of some predictions; merging is associative and commutative, so any order of arrival gives the same. */
export interface Measure {
  predictions: number;
  readonly errors: Map<string, number>;
  /** Milliseconds. */
  readonly queue: QuantileSketch;
  readonly compute: QuantileSketch;
  readonly total: QuantileSketch;
  readonly signals: Signals;
}

/** A measure as its columns hold it. */
export interface MeasureColumns {
  readonly predictions: number;
  readonly errors: string;
  readonly queue: Uint8Array;
  readonly compute: Uint8Array;
  readonly total: Uint8Array;
  readonly signals: Uint8Array | null;
}

/** Error codes told apart in one row; the rest counts as `OTHER`, so that no device can make a row grow without bound. */
export const MAX_ERROR_CODES = 64;
export const OTHER_ERRORS = 'OTHER';

export function emptyMeasure(): Measure {
  return {
    predictions: 0,
    errors: new Map(),
    queue: new QuantileSketch(),
    compute: new QuantileSketch(),
    total: new QuantileSketch(),
    signals: emptySignals(),
  };
}

/** Adds `from` to `into`. */
export function mergeMeasure(into: Measure, from: Measure): void {
  into.predictions += from.predictions;
  mergeErrors(into.errors, from.errors);
  into.queue.merge(from.queue);
  into.compute.merge(from.compute);
  into.total.merge(from.total);
  mergeSignals(into.signals, from.signals);
}

/** Adds counts by code, keeping at most `MAX_ERROR_CODES` codes and `OTHER`. */
export function mergeErrors(into: Map<string, number>, from: ReadonlyMap<string, number>): void {
  for (const [code, count] of from) {
    const known = into.has(code) || into.size < MAX_ERROR_CODES;
    const key = known ? code : OTHER_ERRORS;
    // What numbers do not hold any more cannot be read back either.
    into.set(key, Math.min(Number.MAX_SAFE_INTEGER, (into.get(key) ?? 0) + count));
  }
}

export function measureColumns(measure: Measure): MeasureColumns {
  return {
    predictions: measure.predictions,
    errors: writeErrors(measure.errors),
    queue: Buffer.from(measure.queue.encode()),
    compute: Buffer.from(measure.compute.encode()),
    total: Buffer.from(measure.total.encode()),
    signals: writeSignals(measure.signals),
  };
}

export function readMeasure(columns: MeasureColumns): Measure {
  return {
    predictions: columns.predictions,
    errors: readErrors(columns.errors),
    queue: QuantileSketch.decode(columns.queue),
    compute: QuantileSketch.decode(columns.compute),
    total: QuantileSketch.decode(columns.total),
    signals: readSignals(columns.signals),
  };
}

export function writeErrors(errors: ReadonlyMap<string, number>): string {
  return JSON.stringify([...errors].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const errorsSchema = z.array(z.tuple([z.string(), z.int()]));

export function readErrors(text: string): Map<string, number> {
  return new Map(errorsSchema.parse(JSON.parse(text)));
}
