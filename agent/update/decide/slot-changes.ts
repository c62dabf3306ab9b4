import type { GoodRelease, Runnable, Slots } from '../slots.js';

// What can happen to the slots; each is one write of the file.

/** The trial ends badly: back to what was good, with the reason. */
export function refuseTrial(slots: Slots, code: string, message: string): Slots {
  const { trying } = slots;
  if (trying === null) return slots;
  const { version, manifest, attempt } = trying;
  return { ...slots, trying: null, refused: { version, manifest, attempt, code, message: message.slice(0, 2048) } };
}

/** The trial ends well; `schema` is that of the state the release works with. */
export function concludeTrial(slots: Slots, natives: string | undefined, schema: number): Slots {
  const { trying, good: before } = slots;
  if (trying === null) return slots;
  const { slot, version, manifest, digest, release, attempt } = trying;
  const good = {
    slot,
    version,
    manifest,
    digest,
    release,
    ...(natives === undefined ? {} : { natives }),
    watch: newWatch(attempt, schema),
  };
  return { ...slots, good, before, trying: null, refused: null };
}

/**
 * Starts of a good release, none of which proved itself or ended in order, before the device leaves it. Many: that many power cuts,
 * each within the bake time, have to follow on each other before a healthy release is left, and what it is left for is an agent too.
 * Not more: with the pauses that our unit makes between starts it is a quarter of an hour without an agent, an hour where each one hangs.
 */
const GOOD_MAX_BOOTS = 20;

/** How a release is watched that has just proven itself. */
export function newWatch(attempt: number, schema: number): NonNullable<GoodRelease['watch']> {
  return { boots: 0, maxBoots: GOOD_MAX_BOOTS, attempt, schema };
}

/** The good release had all the starts it may have. */
export function keepsEnding({ watch }: GoodRelease): boolean {
  return watch !== undefined && watch.boots >= watch.maxBoots;
}

/** One start more of the good release; the same slots where it is not counted, or no more. */
export function countGood(slots: Slots): Slots {
  const { good } = slots;
  if (good?.watch === undefined || keepsEnding(good)) return slots;
  return { ...slots, good: { ...good, watch: { ...good.watch, boots: good.watch.boots + 1 } } };
}

/** An orderly end says nothing against a release: its start no longer counts. The same slots where there is nothing to take back. */
export function uncount(slots: Slots, self: Runnable): Slots {
  const { good, trying } = slots;
  if (trying !== null && trying.slot === self && trying.boots > 0) return { ...slots, trying: { ...trying, boots: trying.boots - 1 } };
  if (good?.watch === undefined || good.slot !== self || good.watch.boots === 0) return slots;
  return { ...slots, good: { ...good, watch: { ...good.watch, boots: good.watch.boots - 1 } } };
}

/** The good release is left for the one before it, or for the packaged executable. */
export function leaveGood(slots: Slots, to: Runnable): Slots {
  const { good, before, refused } = slots;
  if (good === null) return slots;
  const { version, manifest, release, watch } = good;
  const verdict = {
    version,
    manifest,
    attempt: watch?.attempt ?? 0,
    code: 'UPDATE_CRASH_LOOP',
    message: `good release ${release} exited on ${watch?.boots ?? 0} starts in a row`,
    ...(refused === null ? {} : { earlier: refused }),
  };
  return { ...slots, good: before !== null && before.slot === to ? before : null, before: null, refused: verdict };
}
