import { days, type EpochMillis, type Millis } from '#shared/kernel/time.js';
import type { Telemetry } from '#shared/protocol/messages.js';
import type { Signal } from '#shared/signals/signal.js';
import { Sums } from '#shared/signals/sums.js';
import type { IngestRecord } from './record.js';

export interface RollUpWidths {
  /** Width of a bucket over all devices. */
  readonly model: Millis;
  /** Width of a bucket of one device. */
  readonly device: Millis;
}

export interface ModelKey {
  readonly model: string;
  readonly version: number;
  readonly bucket: EpochMillis;
}
export interface DeviceKey extends ModelKey {
  readonly device: string;
}

/** What a batch of telemetry adds to each row; every row is touched once however many records it gets. */
export interface RollUp {
  readonly models: readonly { readonly key: ModelKey; readonly sums: Sums }[];
  readonly devices: readonly { readonly key: DeviceKey; readonly sums: Sums }[];
  readonly totals: readonly { readonly key: Omit<ModelKey, 'bucket'>; readonly sums: Sums }[];
}

type TelemetryRecord = Extract<IngestRecord, { kind: 'telemetry' }>;

/**
 * Sums a batch by model version and time. A window falls into the bucket of its end; an end in the future of the hub's
 * clock (a device whose clock is ahead) counts as now, an old one (an outbox that waited) keeps its time. `since` says from when on a
 * device belongs to the fleet: an end before that, and one that the device itself cannot date, counts as received.
 */
export function rollUp(
  records: readonly TelemetryRecord[],
  widths: RollUpWidths,
  now: EpochMillis,
  since: (device: string) => EpochMillis,
): RollUp {
  const models = new Map<string, { key: ModelKey; sums: Sums }>();
  const devices = new Map<string, { key: DeviceKey; sums: Sums }>();
  const totals = new Map<string, { key: Omit<ModelKey, 'bucket'>; sums: Sums }>();
  for (const { device, message, windows } of records) {
    const end = measuredAt(message, now, since(device));
    for (const { model, version, sums } of windows) {
      add(models, { model, version, bucket: bucketOf(end, widths.model) }, sums);
      add(devices, { device, model, version, bucket: bucketOf(end, widths.device) }, sums);
      add(totals, { model, version }, sums, sums.table.counted);
    }
  }
  return { models: [...models.values()], devices: [...devices.values()], totals: [...totals.values()] };
}

/** A device may have made a first window a little before it was enrolled, by a clock that is a little behind. */
const BEFORE_ENROLMENT: Millis = days(1);

/** When a message was measured, as far as that can be believed. */
export function measuredAt({ to, undated }: Telemetry, now: EpochMillis, enrolled: EpochMillis): EpochMillis {
  return undated === true || to > now || to < enrolled - BEFORE_ENROLMENT ? now : to;
}

export function bucketOf(at: EpochMillis, width: Millis): EpochMillis {
  return Math.floor(at / width) * width;
}

function add<K extends object>(into: Map<string, { key: K; sums: Sums }>, key: K, sums: Sums, only?: readonly Signal[]): void {
  const id = Object.values(key).join('\n');
  const known = into.get(id) ?? { key, sums: new Sums(sums.table) };
  into.set(id, known);
  known.sums.merge(sums, only);
}
