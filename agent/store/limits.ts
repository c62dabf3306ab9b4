import { hours, type Millis } from '#shared/kernel/time.js';

/** Bounds of everything the store keeps (R4: one rule for all of them, oldest and coarsest first, and it is reported). */
export interface StoreLimits {
  readonly outboxRecords: number;
  readonly outboxBytes: number;
  /** Telemetry is merged into windows no longer than this; past it the oldest is dropped. */
  readonly coarsestWindow: Millis;
  /** Bytes of models kept on disk. */
  readonly diskBudgetBytes: number;
  /** Downloads stop while the disk has less than this free, so that the database can always write. */
  readonly diskReserveBytes: number;
}

export const DEFAULT_STORE_LIMITS: StoreLimits = {
  outboxRecords: 10_000,
  outboxBytes: 32 * 1024 * 1024,
  coarsestWindow: hours(6),
  diskBudgetBytes: 4 * 1024 * 1024 * 1024,
  diskReserveBytes: 16 * 1024 * 1024,
};
