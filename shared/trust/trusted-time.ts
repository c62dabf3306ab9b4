import { days, type EpochMillis, type Millis, minutes } from '#shared/kernel/clock.js';

/** Clocks of hub and device may differ by this much without anybody calling one wrong. */
export const CLOCK_SKEW_TOLERANCE: Millis = minutes(5);
/** A wall clock this far ahead of a statement that was signed just now is wrong, or the statement was held back. */
export const CLOCK_AHEAD_LIMIT: Millis = days(1);

export interface TimeEvidence {
  /** The wall clock now. */
  readonly wall: EpochMillis;
  /** Latest time any accepted signed statement gave (kept by the caller across restarts). */
  readonly freshestSigned: EpochMillis | undefined;
  /** Signed time of a statement that should be fresh: accepted over a live session just now. */
  readonly justReceived?: EpochMillis | undefined;
}

export type TrustedTime =
  | { readonly now: EpochMillis; readonly trusted: true }
  | { readonly now: EpochMillis; readonly trusted: false; readonly reason: string };

/**
 * The time to judge expiry by. Never before the freshest signed time: a clock set back does not bring expired metadata to
 * life. A clock ahead is used as it is, which only expires things early (fails closed), but is called untrusted when a fresh
 * statement contradicts it.
 */
export function trustedTime(evidence: TimeEvidence): TrustedTime {
  const { wall, justReceived } = evidence;
  const signed = Math.max(evidence.freshestSigned ?? 0, justReceived ?? 0);
  const now = Math.max(wall, signed);
  if (wall + CLOCK_SKEW_TOLERANCE < signed) {
    return { now, trusted: false, reason: `the clock is ${spell(signed - wall)} behind a time already signed` };
  }
  if (justReceived !== undefined && wall - justReceived > CLOCK_AHEAD_LIMIT) {
    return { now, trusted: false, reason: `the clock is ${spell(wall - justReceived)} ahead of what was just signed` };
  }
  return { now, trusted: true };
}

function spell(span: Millis): string {
  const hours = span / 3_600_000;
  if (hours >= 48) return `${Math.round(hours / 24)} days`;
  return hours >= 2 ? `${Math.round(hours)} hours` : `${Math.max(1, Math.round(span / 60_000))} minutes`;
}
