import { decode as decodeCbor } from 'cborg';
import { z } from 'zod';
import { days } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { bootIdSchema, type DeviceEvent, type MetricsWindow, type Telemetry } from '#shared/protocol/messages.js';
import { ROWS } from '#shared/signals/rows.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS, type SignalTable } from '#shared/signals/table.js';

export type RecordKind = 'telemetry' | 'event';

/** Where a record stood in its device's outbox. */
export interface Position {
  readonly boot: number;
  /** Left out by agents that do not name their starts. */
  readonly bootId?: string | undefined;
  readonly seq: number;
}

interface MeasuredWindow {
  readonly model: MetricsWindow['model'];
  readonly version: MetricsWindow['version'];
  readonly sums: Sums;
}

/** An outbox record as it came in; `refused` can be answered, `unreadable` does not even say which record it is. */
export type IngestRecord =
  | {
      readonly kind: 'telemetry';
      readonly device: DeviceId;
      readonly at: Position;
      readonly message: Telemetry;
      readonly windows: readonly MeasuredWindow[];
    }
  | { readonly kind: 'event'; readonly device: DeviceId; readonly at: Position; readonly message: DeviceEvent }
  | { readonly kind: 'refused'; readonly device: DeviceId; readonly at: Position; readonly error: SkerryError }
  | { readonly kind: 'unreadable'; readonly device: DeviceId; readonly error: SkerryError };

/** Reads a record that came on a device's topic, sketches included; never throws. */
export function readRecord(kind: RecordKind, device: DeviceId, payload: Uint8Array, table: SignalTable = SIGNALS): IngestRecord {
  try {
    if (kind === 'event') {
      const message = decodeMessage('event', payload, device);
      return { kind, device, at: positionOf(message), message };
    }
    const message = decodeMessage('telemetry', payload, device);
    return {
      kind,
      device,
      at: positionOf(message),
      message,
      windows: message.windows.map((window, i) => readWindow(table, window, message, isFirst(message, i))),
    };
  } catch (cause) {
    const error = asSkerryError(cause, 'PROTOCOL_MESSAGE_INVALID');
    const at = findPosition(kind, payload);
    return at === undefined ? { kind: 'unreadable', device, error } : { kind: 'refused', device, at, error };
  }
}

/** True for the first window of its model version in a message: there may be one for each variant and provider. */
function isFirst({ windows }: Telemetry, index: number): boolean {
  const window = windows[index];
  return windows.findIndex((other) => other.model === window?.model && other.version === window.version) === index;
}

/** What is the device's and not the window's (time, memory, temperature) counts once for each model version. */
function readWindow(table: SignalTable, window: MetricsWindow, message: Telemetry, first: boolean): MeasuredWindow {
  const sums = Sums.ofWindow(table, window);
  if (first) addDevice(sums, message);
  if (sums.counts().some((count) => count > LIMITS.countPerWindow)) {
    throw new SkerryError('PROTOCOL_MESSAGE_INVALID', `a window of ${window.model} counts more than ${LIMITS.countPerWindow}`);
  }
  return { model: window.model, version: window.version, sums };
}

function addDevice(sums: Sums, { from, to, health }: Telemetry): void {
  const figures: Readonly<Record<string, unknown>> = health;
  // A window says at most a day: a device that was off or whose clock jumped does not count as watched that long.
  sums.add(ROWS.watched, Math.min(days(1), Math.max(0, to - from)));
  for (const signal of sums.table.summedOfDevice) {
    const value = figures[signal.field];
    if (typeof value === 'number') sums.add(signal, Math.max(0, value + signal.zero));
  }
}

function positionOf({ boot, bootId, seq }: Position): Position {
  return { boot, ...(bootId === undefined ? {} : { bootId }), seq };
}

const positionSchema = z.object({ boot: z.int().min(1), bootId: bootIdSchema.optional(), seq: z.int().min(1) });

/** Position inside a record that is otherwise refused: without it the device could not be told to forget the record. */
function findPosition(kind: RecordKind, payload: Uint8Array): Position | undefined {
  try {
    const value: unknown = kind === 'event' ? JSON.parse(new TextDecoder().decode(payload)) : decodeCbor(payload);
    return positionSchema.safeParse(value).data;
  } catch {
    return undefined;
  }
}
