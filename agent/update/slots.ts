import { z } from 'zod';
import { digestSchema, versionNumberSchema } from '#shared/bundle/names.js';

export const SLOT_NAMES = ['a', 'b'] as const;
export type SlotName = (typeof SLOT_NAMES)[number];
/** What can run: a release in a slot, or the executable that came with the package, which no update touches. */
export type Runnable = SlotName | 'packaged';

// The launcher is never updated by an update, so it reads files that later releases wrote: what it does not know it keeps.

const releaseSchema = z.looseObject({
  slot: z.enum(SLOT_NAMES),
  version: versionNumberSchema,
  manifest: digestSchema,
  /** Of the executable. */
  digest: digestSchema,
  /** As people call it. */
  release: z.string().max(64),
});

const watchSchema = z.looseObject({
  /** Starts since it proved itself last that did not end in order; counted before each. */
  boots: z.int().min(0),
  maxBoots: z.int().min(1),
  /** The desired state's `attempt` under which it runs, for the verdict. */
  attempt: z.int().min(0),
  /** Schema of the state it works with: what is to run in its place has to know the same. */
  schema: z.int().min(0),
});

const goodSchema = releaseSchema.extend({
  natives: z.string().max(128).optional(),
  /** Left out for a release that does not prove itself in each run: nobody would take its count back, so it is not counted. */
  watch: watchSchema.optional(),
});

const trialSchema = releaseSchema.extend({
  /** The desired state's `attempt` under which it is tried. */
  attempt: z.int().min(0),
  /** Starts so far; counted before each. */
  boots: z.int().min(0),
  maxBoots: z.int().min(1),
  /** Seconds it may take to come up, and may hang later, before the kernel ends it. */
  aliveSeconds: z.int().min(1),
  /** The release before it was connected to the hub when it handed over. */
  wasOnline: z.boolean(),
  /** Names of the models that one served. */
  served: z.array(z.string()).max(256),
});

const plainVerdictSchema = z.looseObject({
  version: versionNumberSchema,
  manifest: digestSchema,
  attempt: z.int().min(0),
  code: z.string().max(64),
  message: z.string().max(2048),
});
/** With the verdict before it that no agent lived long enough to take. */
const verdictSchema = plainVerdictSchema.extend({ earlier: plainVerdictSchema.optional() });

export const slotsSchema = z.looseObject({
  schema: z.literal('skerry.slots/1'),
  /** Release of the packaged executable when this was written: a package installed since then shows by it. */
  packaged: z.string().max(64),
  /** The release that runs, once it was known to be good; null for the packaged one. */
  good: goodSchema.nullable(),
  /** The release that was good before it and lies in the other slot, until something else is put or tried there. */
  before: goodSchema.nullable().default(null),
  /** Handed over to and not yet known to be good. */
  trying: trialSchema.nullable(),
  /** Why the last trial ended badly, or a good release was left, until the agent has put it into its records. */
  refused: verdictSchema.nullable(),
});

export type SlotRelease = z.infer<typeof releaseSchema>;
export type GoodRelease = z.infer<typeof goodSchema>;
export type Trial = z.infer<typeof trialSchema>;
export type Verdict = z.infer<typeof verdictSchema>;
/** Content of `agents/slot.json`. */
export type Slots = z.infer<typeof slotsSchema>;

/** What holds before anything was ever updated. */
export function noSlots(packaged: string): Slots {
  return { schema: 'skerry.slots/1', packaged, good: null, before: null, trying: null, refused: null };
}

/** The slot that may be written: never the one a good release lies in. */
export function spareSlot(slots: Slots): SlotName {
  return slots.good?.slot === 'a' ? 'b' : 'a';
}

/** True when release `a` is a later one than `b` (Semantic Versioning 2.0.0, clause 11, pre-releases by their text); false when either is none. */
export function isLaterRelease(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => /^(\d+)\.(\d+)\.(\d+)(?:-([^+]+))?/.exec(text));
  if (left === null || right === null || left === undefined || right === undefined) return false;
  for (const at of [1, 2, 3]) {
    const difference = Number(left[at]) - Number(right[at]);
    if (difference !== 0) return difference > 0;
  }
  const [before, after] = [left[4], right[4]];
  if (before === undefined || after === undefined) return before === undefined && after !== undefined;
  return before > after;
}
