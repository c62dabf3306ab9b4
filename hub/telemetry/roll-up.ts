import { days, type EpochMillis, type Millis } from '#shared/kernel/time.js';
import type { Telemetry } from '#shared/protocol/messages.js';
import { emptyMeasure, type Measure, mergeErrors, mergeMeasure } from './measure.js';
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
  readonly models: readonly { readonly key: ModelKey; readonly measure: Measure }[];
  readonly devices: readonly { readonly key: DeviceKey; readonly measure: Measure }[];
  readonly totals: readonly {
    readonly key: Omit<ModelKey, 'bucket'>;
    readonly predictions: number;
    readonly errors: ReadonlyMap<string, number>;
  }[];
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
  const models = new Map<string, { key: ModelKey; measure: Measure }>();
  const devices = new Map<string, { key: DeviceKey; measure: Measure }>();
  const totals = new Map<string, { key: Omit<ModelKey, 'bucket'>; predictions: number; errors: Map<string, number> }>();
  for (const { device, message, windows } of records) {
    const end = measuredAt(message, now, since(device));
    for (const { model, version, measure } of windows) {
      add(models, { model, version, bucket: bucketOf(end, widths.model) }, measure);
      add(devices, { device, model, version, bucket: bucketOf(end, widths.device) }, measure);
      const total = entry(totals, `${model}@${version}`, () => ({
        key: { model, version },
        predictions: 0,
        errors: new Map<string, number>(),
      }));
      total.predictions += measure.predictions;
      mergeErrors(total.errors, measure.errors);
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

function add<K extends ModelKey>(into: Map<string, { key: K; measure: Measure }>, key: K, measure: Measure): void {
  mergeMeasure(entry(into, Object.values(key).join('\n'), () => ({ key, measure: emptyMeasure() })).measure, measure);
}

function entry<V>(map: Map<string, V>, key: string, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
