import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';

export interface Quantiles {
  quantile(q: number): number | undefined;
}

/** Values of which only counts above a threshold are asked; a quantile sketch is one. */
export interface Distribution {
  readonly count: number;
  /** How many values lie above the threshold. */
  above(threshold: number): number;
}

export interface Tally {
  readonly events: number;
  readonly exposure: number;
}

/** What one device reported of one version over one stretch of time. What it did not report is left out, never 0. */
export interface DeviceWindow {
  readonly device: DeviceId;
  readonly from: EpochMillis;
  readonly length: Millis;
  /** Failed predictions of all predictions. */
  readonly errors: Tally;
  /** Abnormal ends of the agent or of an instance per device hour. */
  readonly crashes?: Tally;
  /** Golden samples that gave other answers, of those run. */
  readonly golden?: Tally;
  /** Shadow answers that differ from the served ones, of those compared. */
  readonly shadow?: Tally;
  /** Wrong answers of the labelled ones. */
  readonly feedback?: Tally;
  /** Whole requests, milliseconds. */
  readonly latency?: Distribution;
  /** Resident memory, bytes. */
  readonly memory?: Distribution;
  /** Kelvin. */
  readonly temperature?: Distribution;
  /** Numbers the application reports, by name. */
  readonly metrics?: Readonly<Record<string, Distribution>>;
  /** Model outputs counted in bins that are the same for both versions, by name. */
  readonly outputs?: Readonly<Record<string, readonly number[]>>;
}

/** What a device reported of the old version before the rollout: what its later reports are measured against. */
export interface Baseline {
  readonly errors: Tally;
  readonly crashes?: Tally;
  readonly feedback?: Tally;
  readonly latency?: Quantiles;
  readonly memory?: Quantiles;
  readonly temperature?: Quantiles;
  readonly metrics?: Readonly<Record<string, Quantiles>>;
}

export type Group = 'canary' | 'control';
