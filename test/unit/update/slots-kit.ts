import { digestSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { type GoodRelease, noSlots, type SlotName, type SlotRelease, type Slots, type Trial } from '#agent/update/slots.js';

export const DIGESTS = {
  a: digestSchema.parse('a'.repeat(64)),
  b: digestSchema.parse('b'.repeat(64)),
  other: digestSchema.parse('c'.repeat(64)),
  manifest: digestSchema.parse('d'.repeat(64)),
};

/** A release in a slot: the one in `a` is 4, the one in `b` is 9. */
export function release(slot: SlotName, changes: Partial<SlotRelease> = {}): SlotRelease {
  const version = versionNumberSchema.parse(slot === 'a' ? 4 : 9);
  return { slot, version, manifest: DIGESTS.manifest, digest: DIGESTS[slot], release: `0.${version}.0`, ...changes };
}

/** A release that was found good, and whose starts are counted; it knows schema 1. */
export function watched(slot: SlotName, boots: number, changes: Partial<GoodRelease> = {}): GoodRelease {
  return { ...release(slot), watch: { boots, maxBoots: 5, attempt: 2, schema: 1 }, ...changes };
}

export function trial(slot: SlotName, changes: Partial<Trial> = {}): Trial {
  return { ...release(slot), attempt: 1, boots: 0, maxBoots: 3, aliveSeconds: 60, wasOnline: true, served: [], ...changes };
}

export function slots(changes: Partial<Slots> = {}): Slots {
  return { ...noSlots('0.1.0'), ...changes };
}
