import type { Generated } from 'kysely';
import type { EpochMillis } from '#shared/kernel/time.js';

/** Which outbox records were counted: the exact set of (device, boot, start, seq), as ranges. */
interface IngestPositionsTable {
  device: string;
  /** 0 stands for the boots that are closed (seen.ts). */
  boot: number;
  /** Names the start; empty for agents that do not. */
  boot_id: string;
  /** Sorted inclusive ranges, `"501-520,522"`: of sequence numbers, or of the boots that are closed. */
  ranges: string;
  /** When one was counted last; the boots closed first are those of long ago. */
  counted_at: EpochMillis;
}

/** Merged measurements of one model version over one window bucket, all devices together. */
export interface MetricsModelTable {
  model: string;
  version: number;
  /** Start of the bucket; its width is that of the telemetry settings. */
  bucket: EpochMillis;
  /** Every sum of the table of signals (shared/signals/sums.ts). */
  signals: Uint8Array;
}

/** The same per device, in wider buckets and kept shorter. */
export interface MetricsDeviceTable extends MetricsModelTable {
  device: string;
  /** Number of the last change of the row among all of its model; grows with every change. */
  changed: number;
}

/** The last number given to a change, by model; it never goes back, whatever is dropped. */
interface MetricsChangesTable {
  model: string;
  last: number;
}

/** Totals since the beginning, for counters that may never go back. */
interface MetricsTotalTable {
  model: string;
  version: number;
  /** Sums of the signals that are counters. */
  signals: Uint8Array;
}

interface DeviceHealthTable {
  device: string;
  /** End of the window, as far as the device's clock can be believed. */
  at: EpochMillis;
  /** JSON of `health` in the telemetry message. */
  health: string;
}

interface EventsTable {
  id: Generated<number>;
  device: string;
  boot: number;
  seq: number;
  /** By the device's clock. */
  at: EpochMillis;
  received_at: EpochMillis;
  kind: string;
  model: string | null;
  version: number | null;
  code: string | null;
  message: string | null;
  /** JSON. */
  detail: string | null;
}

export interface TelemetryTables {
  ingest_positions: IngestPositionsTable;
  metrics_model: MetricsModelTable;
  metrics_device: MetricsDeviceTable;
  metrics_changes: MetricsChangesTable;
  metrics_total: MetricsTotalTable;
  device_health: DeviceHealthTable;
  events: EventsTable;
}
