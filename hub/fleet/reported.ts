import type { EpochMillis } from '#shared/kernel/clock.js';

/** Which reported state of a device is meant. */
export interface ReportedMark {
  readonly boot: number;
  /** By the device's clock. */
  readonly at: EpochMillis;
}

/**
 * True when a reported state replaces the one known. A live message is as new as its arrival (MQTT keeps the order of one
 * session, and the device's clock may be set back within a boot); one replayed from the broker's memory must also be later
 * by the device's clock.
 */
export function reportedSupersedes(known: ReportedMark | undefined, message: ReportedMark, replayed: boolean): boolean {
  if (known === undefined || message.boot > known.boot) return true;
  if (message.boot < known.boot) return false;
  return !replayed || message.at > known.at;
}
