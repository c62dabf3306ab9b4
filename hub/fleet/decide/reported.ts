import type { EpochMillis } from '#shared/kernel/time.js';

/** Which reported state of a device is meant. */
export interface ReportedMark {
  readonly boot: number;
  /** Names the start of the agent; left out by agents that do not. */
  readonly bootId?: string | undefined;
  /** By the device's clock. */
  readonly at: EpochMillis;
}

/**
 * True when a reported state replaces the one known. A live message is as new as its arrival (MQTT keeps the order of one
 * session, the device's clock may be set back within a boot, and a device put back to an older image counts its boots anew); one
 * replayed from the broker's memory must also be later by the device's clock, or of another start.
 */
export function reportedSupersedes(known: ReportedMark | undefined, message: ReportedMark, replayed: boolean): boolean {
  if (known === undefined) return true;
  if (known.bootId !== message.bootId) return true;
  if (message.bootId === undefined && message.boot !== known.boot) return message.boot > known.boot;
  return !replayed || message.at > known.at;
}
