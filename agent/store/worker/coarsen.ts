import { decode } from 'cborg';
import { encodeMessage } from '#shared/protocol/codec.js';
import { mergeSignals, mergeSketches } from './coarsen-signals.js';
import { narrow } from '#shared/kernel/json.js';
import { type MetricsWindow, type Telemetry, telemetrySchema } from '#shared/protocol/messages.js';

/** One telemetry record as the choice of what to merge sees it. */
export interface CoarsenCandidate {
  readonly seq: number;
  /** Handed out for sending, in this run or an earlier one: the hub may have counted it. */
  readonly offered: boolean;
  /** Window bounds, milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

/**
 * Pairs of neighbouring telemetry records that may become one, best first: shortest joint window, then oldest. So windows
 * double in length evenly from the oldest on instead of one swallowing all. A record that was ever offered is in no pair:
 * the hub may hold it under its own position and would count it again inside the merged one (DESIGN R3).
 */
export function coarsenPairs(telemetry: readonly CoarsenCandidate[], coarsestWindow: number): readonly (readonly [number, number])[] {
  const pairs: { older: number; newer: number; span: number }[] = [];
  for (const [index, newer] of telemetry.entries()) {
    const older = telemetry[index - 1];
    if (older === undefined || older.offered || newer.offered) continue;
    const span = Math.max(older.to, newer.to) - Math.min(older.from, newer.from);
    if (span <= coarsestWindow) pairs.push({ older: older.seq, newer: newer.seq, span });
  }
  return pairs.sort((a, b) => a.span - b.span || a.older - b.older).map((pair) => [pair.older, pair.newer]);
}

/**
 * Merges two encoded telemetry records into one with the position and health figures of the newer: counts added, sketches
 * merged per (model, version, variant, provider, role). `undefined` when the result would be too large or one cannot be read.
 */
export function mergeTelemetry(older: Uint8Array, newer: Uint8Array): Uint8Array | undefined {
  try {
    const [first, second] = [read(older), read(newer)];
    const windows = mergeWindows([...first.windows, ...second.windows]);
    return encodeMessage('telemetry', {
      ...second,
      from: Math.min(first.from, second.from),
      to: Math.max(first.to, second.to),
      ...(first.undated === true || second.undated === true ? { undated: true } : {}),
      windows,
    });
  } catch {
    return undefined; // Stays two records; space is then found by dropping, which is counted.
  }
}

function read(bytes: Uint8Array): Telemetry {
  return narrow(telemetrySchema, decode(bytes), 'stored telemetry');
}

function mergeWindows(windows: readonly MetricsWindow[]): MetricsWindow[] {
  const merged = new Map<string, MetricsWindow>();
  for (const window of windows) {
    const key = JSON.stringify([window.model, window.version, window.variant, window.provider, window.role ?? null]);
    const other = merged.get(key);
    merged.set(key, other === undefined ? window : mergeTwo(other, window));
  }
  return [...merged.values()];
}

function mergeTwo(a: MetricsWindow, b: MetricsWindow): MetricsWindow {
  return {
    ...b,
    predictions: a.predictions + b.predictions,
    errors: addCounts(a.errors, b.errors),
    queue: mergeSketches(a.queue, b.queue),
    compute: mergeSketches(a.compute, b.compute),
    total: mergeSketches(a.total, b.total),
    ...mergeSignals(a, b),
  };
}

function addCounts(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const sum = new Map(Object.entries(a));
  for (const [code, count] of Object.entries(b)) sum.set(code, (sum.get(code) ?? 0) + count);
  return Object.fromEntries(sum);
}
