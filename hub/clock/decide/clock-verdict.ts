import { days, type EpochMillis, hours, type Millis } from '#shared/kernel/time.js';
import { formatDuration } from '#shared/terminal/format.js';

/** The hub may have been off for this long without anybody asking whether its clock is right. */
const JUMP_AHEAD: Millis = days(2);
/** Its clock may stand this far behind its last signature. */
const JUMP_BEHIND: Millis = hours(1);
/** A device whose clock is within this of the hub's vouches for it. */
const DEVICE_AGREES: Millis = hours(1);
/** A device whose clock is further away than this speaks against it. */
const DEVICE_DIFFERS: Millis = hours(6);
/** So many devices, twice as many as agree, outweigh the hub's own last signature. */
const DEVICES_AGAINST = 3;

/** Everything the verdict depends on. */
interface ClockEvidence {
  /** The hub's clock now. */
  readonly now: EpochMillis;
  /** Where it should stand by its last signature and the time since; left out before the first. For a hub that was off: the last signature. */
  readonly expected: EpochMillis | undefined;
  /** Differences to the clocks of devices that can vouch, device minus hub. */
  readonly differences: readonly Millis[];
  /** An operator said that it is right, and it has not been set since. */
  readonly confirmed: boolean;
}

export type ClockVerdict = { readonly state: 'credible' } | { readonly state: 'suspect'; readonly reason: string };

/**
 * Whether the hub's clock may date signatures. A signature from the future is believed for as long as it holds, so a clock that jumped
 * signs nothing until devices or an operator vouch for it.
 */
export function judgeClock({ now, expected, differences, confirmed }: ClockEvidence): ClockVerdict {
  if (confirmed) return { state: 'credible' };
  const agree = differences.filter((difference) => Math.abs(difference) <= DEVICE_AGREES).length;
  const against = differences.filter((difference) => Math.abs(difference) > DEVICE_DIFFERS);
  if (against.length >= DEVICES_AGAINST && against.length >= 2 * agree) {
    return { state: 'suspect', reason: `its clock is ${spell(0 - middle(against))} the clocks of ${against.length} devices` };
  }
  if (expected === undefined) return { state: 'credible' };
  const jump = now - expected;
  if (jump <= JUMP_AHEAD && jump + JUMP_BEHIND >= 0) return { state: 'credible' };
  if (agree > 0 && agree > against.length) return { state: 'credible' };
  return {
    state: 'suspect',
    reason: `its clock is ${spell(jump)} its last signature, and no device with a clock of its own vouches for it`,
  };
}

function middle(values: readonly Millis[]): Millis {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** "25 days ahead of", for a positive span. */
function spell(span: Millis): string {
  return `${formatDuration(Math.abs(span))} ${span >= 0 ? 'ahead of' : 'behind'}`;
}
