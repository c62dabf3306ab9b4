import { days, type EpochMillis, hours, type Millis, minutes } from '#shared/kernel/time.js';

/** Clocks of hub and device may differ by this much without anybody calling one wrong. */
export const CLOCK_SKEW_TOLERANCE: Millis = minutes(5);
/** A wall clock this far ahead of a statement that was signed just now is wrong, or the statement was held back. */
export const CLOCK_AHEAD_LIMIT: Millis = days(1);
/** A wall clock this little ahead of a statement new to the device agrees with it: the hub signs again every hour. */
const CLOCK_AGREES: Millis = hours(3);

export interface TimeEvidence {
  /** The wall clock now. */
  readonly wall: EpochMillis;
  /** Time of the newest accepted statement (kept by the caller across restarts), with what has passed since by the monotonic clock. */
  readonly freshestSigned: EpochMillis | undefined;
  /** Signed time of a statement that should be fresh: accepted over a live session just now. */
  readonly justReceived?: EpochMillis | undefined;
}

export type TrustedTime =
  | { readonly now: EpochMillis; readonly trusted: true }
  | { readonly now: EpochMillis; readonly trusted: false; readonly reason: string };

/**
 * The time to judge expiry by. Never before the time of the newest signed statement: a clock set back does not bring expired metadata to
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

/** True when a wall clock agrees with a statement that is new to the device: two clocks, set by two machines, say the same. */
export function clocksAgree(wall: EpochMillis, signed: EpochMillis): boolean {
  return wall >= signed - CLOCK_SKEW_TOLERANCE && wall <= signed + CLOCK_AGREES;
}

/** What a measurement is dated with. */
export interface MeasuredTime {
  readonly at: EpochMillis;
  /** False when it may have been later: nobody said what time it is since the device was switched on. */
  readonly exact: boolean;
}

/** The wall clock while nothing speaks against it; else the time signed last, with what has passed since. */
export function measuredTime(evidence: TimeEvidence): MeasuredTime {
  if (trustedTime(evidence).trusted) return { at: evidence.wall, exact: true };
  if (evidence.justReceived !== undefined) return { at: evidence.justReceived, exact: true };
  return { at: evidence.freshestSigned ?? evidence.wall, exact: false };
}

function spell(span: Millis): string {
  const count = span / 3_600_000;
  if (count >= 48) return `${Math.round(count / 24)} days`;
  return count >= 2 ? `${Math.round(count)} hours` : `${Math.max(1, Math.round(span / 60_000))} minutes`;
}
