import { decode } from 'cborg';
import { encodeMessage } from '#shared/protocol/codec.js';
import { narrow } from '#shared/kernel/json.js';
import { type MetricsWindow, type Telemetry, telemetrySchema } from '#shared/protocol/messages.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS, type SignalTable } from '#shared/signals/table.js';
import { windowFields } from '#shared/signals/window-schema.js';

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
 * the hub may hold it under its own position and would count it again inside the merged one (R3).
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
 * Merges two encoded telemetry records into one with the position of the newer: the sums of each (model, version, variant, provider,
 * role) added, of the device's own figures what the table of signals keeps. A signal of a later release is left out: nobody here
 * knows how to add it. `undefined` when the result would be too large or one cannot be read.
 */
export function mergeTelemetry(older: Uint8Array, newer: Uint8Array, table: SignalTable = SIGNALS): Uint8Array | undefined {
  try {
    const [first, second] = [read(older), read(newer)];
    return encodeMessage('telemetry', {
      ...second,
      from: Math.min(first.from, second.from),
      to: Math.max(first.to, second.to),
      ...(first.undated === true || second.undated === true ? { undated: true } : {}),
      windows: mergeWindows([...first.windows, ...second.windows], table),
      health: { ...second.health, ...worst(first.health, second.health, table) },
    });
  } catch {
    return undefined; // Stays two records; space is then found by dropping, which is counted.
  }
}

function read(bytes: Uint8Array): Telemetry {
  return narrow(telemetrySchema, decode(bytes), 'stored telemetry');
}

function mergeWindows(windows: readonly MetricsWindow[], table: SignalTable): MetricsWindow[] {
  const merged = new Map<string, { readonly window: MetricsWindow; readonly sums: Sums }>();
  for (const window of windows) {
    const key = JSON.stringify([window.model, window.version, window.variant, window.provider, window.role ?? null]);
    const sums = Sums.ofWindow(table, window);
    const known = merged.get(key);
    if (known === undefined) merged.set(key, { window, sums });
    else known.sums.merge(sums);
  }
  return [...merged.values()].map(({ window: { model, version, variant, provider, role }, sums }) => ({
    model,
    version,
    variant,
    provider,
    ...(role === undefined ? {} : { role }),
    ...windowFields(sums),
  }));
}

/** Figures of the device of which the larger one stays. */
function worst(a: Telemetry['health'], b: Telemetry['health'], table: SignalTable): Record<string, number> {
  const kept: Record<string, number> = {};
  const [first, second]: Readonly<Record<string, unknown>>[] = [a, b];
  for (const { field, coarsened } of table.of('device')) {
    const values = [first?.[field], second?.[field]].filter((value) => typeof value === 'number');
    if (coarsened === 'max' && values.length > 0) kept[field] = Math.max(...values);
  }
  return kept;
}
