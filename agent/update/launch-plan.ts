import { isLaterRelease, refuseTrial, type SlotName, type Slots } from './slots.js';

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
  /** Of every slot that `slots` names. */
  readonly content: Readonly<Partial<Record<SlotName, SlotContent>>>;
  /** Release of the packaged executable. */
  readonly packaged: string;
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
 * can be found again.
 */
export function planLaunch(facts: LaunchFacts): LaunchPlan {
  const { slots, unreadable, packaged } = facts;
  if (slots === undefined) return { starts: [PACKAGED], notes: unreadable === undefined ? [] : [unreadable] };
  // Somebody installed a later package since: that is the newer word, and no release in a slot may hide it.
  if (slots.packaged !== packaged && isLaterRelease(packaged, slots.trying?.release ?? slots.good?.release ?? packaged)) {
    return { write: { ...slots, packaged, good: null, trying: null }, starts: [PACKAGED], notes: [] };
  }
  const { trying } = slots;
  const before = startGood(slots, facts);
  if (trying === null) return before;
  if (trying.boots >= trying.maxBoots) {
    const message = `release ${trying.release} was started ${trying.boots} times and ended each time before it was known to be good`;
    return { ...before, write: refuseTrial(slots, 'UPDATE_ENDED', message) };
  }
  const damage = damageOf(trying, facts);
  if (damage !== undefined) return { ...before, write: refuseTrial(slots, 'UPDATE_FILE_DAMAGED', damage) };
  const { slot, aliveSeconds } = trying;
  return {
    write: { ...slots, trying: { ...trying, boots: trying.boots + 1 } },
    starts: [{ kind: 'trial', slot, aliveSeconds }, ...before.starts],
    notes: before.notes,
  };
}

function startGood(slots: Slots, facts: LaunchFacts): Pick<LaunchPlan, 'starts' | 'notes'> {
  const { good } = slots;
  if (good === null) return { starts: [PACKAGED], notes: [] };
  const damage = damageOf(good, facts);
  if (damage === undefined) return { starts: [{ kind: 'good', slot: good.slot }, PACKAGED], notes: [] };
  return { starts: [PACKAGED], notes: [{ code: 'UPDATE_FILE_DAMAGED', message: damage }] };
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
