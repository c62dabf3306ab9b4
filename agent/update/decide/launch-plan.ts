import { countGood, keepsEnding, leaveGood, refuseTrial } from './slot-changes.js';
import { isLaterRelease, type Runnable, type SlotName, type Slots } from '../slots.js';

/** What lies in a slot: the digest of its executable, or why it could not be read. */
export type SlotContent = { readonly kind: 'file'; readonly digest: string } | { readonly kind: 'unreadable'; readonly message: string };

/** Something that went wrong on the way to a running agent; the agent reports it. */
export interface LaunchNote {
  readonly code: string;
  readonly message: string;
}

export interface LaunchFacts {
  /** Undefined before the first update, or when the file could not be read. */
  readonly slots: Slots | undefined;
  /** Why the file could not be read. */
  readonly unreadable?: LaunchNote;
  /** Of the slots in `slotsInQuestion`. */
  readonly content: Readonly<Partial<Record<SlotName, SlotContent>>>;
  /** Release of the packaged executable. */
  readonly packaged: string;
  /** Schema of the state that the packaged executable works with. */
  readonly schema: number;
}

export type Start =
  /** Only once the file says that it was counted. */
  | { readonly kind: 'trial'; readonly slot: SlotName; readonly aliveSeconds: number }
  | { readonly kind: 'good'; readonly slot: SlotName }
  | { readonly kind: 'packaged' };

export interface LaunchPlan {
  /** To be written before anything is started. */
  readonly write?: Slots;
  /** What to start; each of them when the one before could not be started. The last is always the packaged executable. */
  readonly starts: readonly Start[];
  readonly notes: readonly LaunchNote[];
}

const PACKAGED: Start = { kind: 'packaged' };

/**
 * What the launcher does, row by row (docs/adr/0003-self-update.md). Whatever the facts are, it ends with an agent: the
 * packaged executable is the last start of every plan, and a release on trial is started only after what was good before it
 * can be found again. A good release that keeps ending is left, if something here can go on with its state.
 */
export function planLaunch(facts: LaunchFacts): LaunchPlan {
  const { slots, unreadable, packaged } = facts;
  if (slots === undefined) return { starts: [PACKAGED], notes: unreadable === undefined ? [] : [unreadable] };
  // Somebody installed a later package since: that is the newer word, and no release in a slot may hide it.
  if (slots.packaged !== packaged && isLaterRelease(packaged, slots.trying?.release ?? slots.good?.release ?? packaged)) {
    return { write: { ...slots, packaged, good: null, before: null, trying: null }, starts: [PACKAGED], notes: [] };
  }
  const { trying } = slots;
  if (trying === null) return planGood(slots, facts);
  if (trying.boots >= trying.maxBoots) {
    const message = `release ${trying.release} was started ${trying.boots} times and ended each time before it was known to be good`;
    return planAfterTrial(refuseTrial(slots, 'UPDATE_EXITED', message), facts);
  }
  const damage = damageOf(trying, facts);
  if (damage !== undefined) return planAfterTrial(refuseTrial(slots, 'UPDATE_FILE_DAMAGED', damage), facts);
  const { slot, aliveSeconds } = trying;
  const { starts, notes } = planGood(slots, facts);
  return {
    write: { ...slots, trying: { ...trying, boots: trying.boots + 1 } },
    starts: [{ kind: 'trial', slot, aliveSeconds }, ...starts],
    notes,
  };
}

/** The slots whose content decides what is started; hashing takes its time, so no others are looked into. */
export function slotsInQuestion({ good, before, trying }: Slots): ReadonlySet<SlotName> {
  const left = good !== null && keepsEnding(good) ? before : null;
  return new Set([good, left, trying].flatMap((release) => (release === null ? [] : [release.slot])));
}

function planAfterTrial(slots: Slots, facts: LaunchFacts): LaunchPlan {
  return { write: slots, ...planGood(slots, facts) };
}

/** What is good is counted before its start as well: a release may be good for a year, and then end whenever it is started. */
function planGood(slots: Slots, facts: LaunchFacts): LaunchPlan {
  const { good } = slots;
  if (good === null) return { starts: [PACKAGED], notes: [] };
  const damage = damageOf(good, facts);
  if (damage !== undefined) return { starts: [PACKAGED], notes: [{ code: 'UPDATE_FILE_DAMAGED', message: damage }] };
  if (!keepsEnding(good)) {
    const write = countGood(slots);
    return { ...(write === slots ? {} : { write }), ...startGood(good.slot) };
  }
  const to = wayOut(slots, facts);
  if (to === 'packaged') return { write: leaveGood(slots, to), starts: [PACKAGED], notes: [] };
  if (to !== undefined) return { write: countGood(leaveGood(slots, to)), ...startGood(to) };
  const message = `release ${good.release} ended each of ${good.watch?.boots ?? 0} times; nothing else here could read its state, so it is started again`;
  return { ...startGood(good.slot), notes: [{ code: 'UPDATE_CRASH_LOOP', message }] };
}

function startGood(slot: SlotName): Pick<LaunchPlan, 'starts' | 'notes'> {
  return { starts: [{ kind: 'good', slot }, PACKAGED], notes: [] };
}

/** What can go on with the state of the good release: the one before it where it is later than the package, else the package. */
function wayOut({ good, before }: Slots, facts: LaunchFacts): Runnable | undefined {
  const schema = good?.watch?.schema;
  const isThere = before !== null && before.slot !== good?.slot && before.watch?.schema === schema && !keepsEnding(before);
  if (isThere && isLaterRelease(before.release, facts.packaged) && damageOf(before, facts) === undefined) return before.slot;
  return facts.schema === schema ? 'packaged' : undefined;
}

function damageOf(
  { slot, digest, release }: { readonly slot: SlotName; readonly digest: string; readonly release: string },
  { content }: LaunchFacts,
): string | undefined {
  const found = content[slot];
  if (found === undefined) return `release ${release} is not in slot ${slot}`;
  if (found.kind === 'unreadable') return `release ${release} in slot ${slot} could not be read: ${found.message}`;
  return found.digest === digest ? undefined : `release ${release} in slot ${slot} has digest ${found.digest}, not ${digest}`;
}
