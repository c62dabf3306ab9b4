import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import type { Tally } from '#hub/telemetry/tally.js';
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

/**
 * What one device reported of one version over one stretch of time, by the names of signals (`valuesKey` for a number of the
 * application). What it did not report is left out, never 0.
 */
export interface DeviceWindow {
  readonly device: DeviceId;
  readonly from: EpochMillis;
  readonly length: Millis;
  readonly tallies: Tallies;
  readonly values?: Readonly<Record<string, Distribution>>;
  /** Model outputs counted in bins that are the same for both versions, by name. */
  readonly outputs?: Readonly<Record<string, readonly number[]>>;
}

/** Events and their exposure. Failed predictions are always there, of all predictions that could fail. */
export interface Tallies {
  readonly errors: Tally;
  readonly [signal: string]: Tally | undefined;
}

/** What a device reported of the old version before the rollout: what its later reports are measured against. */
export interface Baseline {
  readonly tallies: Tallies;
  readonly values?: Readonly<Record<string, Quantiles>>;
}

/** Under which key the values of a signal stand, or those of one of the numbers of the application. */
export function valuesKey(signal: string, name?: string): string {
  return name === undefined ? signal : `${signal}:${name}`;
}

export type Group = 'canary' | 'control';
