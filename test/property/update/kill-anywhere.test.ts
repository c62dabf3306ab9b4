import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planLaunch } from '#agent/update/decide/launch-plan.js';
import { concludeTrial, leaveGood, newWatch, refuseTrial, uncount } from '#agent/update/decide/slot-changes.js';
import { type GoodRelease, noSlots, type Runnable, type SlotName, type Slots, spareSlot } from '#agent/update/slots.js';
import { DIGESTS, trial, watched } from '../../unit/update/slots-kit.js';

// A device reduced to what lies on its disk. Each act changes the disk by one write, as the product does; after any of them
// the process may be gone. What is checked is what the next start finds.

interface Disk {
  slots: Slots | undefined;
  /** Digests of the executables; a release that is good is never overwritten. */
  files: Partial<Record<SlotName, string>>;
  running: Runnable;
  /** Every write fails. */
  full: boolean;
  /** Starts of the good release since it proved itself that did not end in order, as somebody sees who watches. */
  starts: number;
}

const ACTS = [
  'kill',
  'place',
  'handOver',
  'good',
  'back',
  'damageTrial',
  'damageFile',
  'fill',
  'free',
  'forgive',
  'prove',
  'stop',
  'giveUp',
] as const;
type Act = (typeof ACTS)[number];

/** Few starts, so that a handful of acts comes to the last. */
const MAX_BOOTS = 3;
const isAt = (disk: Disk): boolean => disk.slots?.good?.slot === disk.running;
const withFewStarts = (slots: Slots): Slots =>
  slots.good?.watch === undefined ? slots : { ...slots, good: { ...slots.good, watch: { ...slots.good.watch, maxBoots: MAX_BOOTS } } };

/** The launcher; an executable that the system refuses is passed over, as one that is damaged. */
function start(disk: Disk): void {
  const content = Object.fromEntries(Object.entries(disk.files).map(([slot, digest]) => [slot, { kind: 'file', digest }] as const));
  const plan = planLaunch({ slots: disk.slots, content, packaged: '0.1.0', schema: 1 });
  const good = disk.slots?.good;
  const written = plan.write === undefined || !disk.full;
  if (plan.write !== undefined && written) disk.slots = plan.write;
  expect(plan.starts.at(-1)).toEqual({ kind: 'packaged' });
  const [first] = plan.starts.filter((each) => each.kind !== 'trial' || written);
  disk.running = first === undefined || first.kind === 'packaged' ? 'packaged' : first.slot;
  const isLeft = good !== null && good !== undefined && disk.slots?.trying === null && disk.running !== good.slot;
  if (isLeft && good.watch !== undefined && disk.starts < MAX_BOOTS) throw new Error(`left after ${disk.starts} starts`);
  if (disk.slots?.good?.slot !== good?.slot) disk.starts = disk.slots?.good?.watch?.boots ?? 0;
  else if (isAt(disk)) disk.starts += 1;
}

function act(disk: Disk, what: Act): void {
  const slots = disk.slots ?? noSlots('0.1.0');
  const onTrial = slots.trying !== null && slots.trying.slot === disk.running;
  const write = (next: Slots): void => {
    if (!disk.full) disk.slots = next;
  };
  switch (what) {
    case 'kill':
      return start(disk);
    case 'place': {
      if (onTrial) return;
      if (slots.trying !== null || slots.before !== null) write({ ...slots, before: null, trying: null });
      if (!disk.full) disk.files[spareSlot(slots)] = DIGESTS[spareSlot(slots)];
      return;
    }
    case 'handOver': {
      const slot = spareSlot(slots);
      if (onTrial || disk.files[slot] !== DIGESTS[slot] || disk.full) return;
      disk.slots = { ...slots, before: null, trying: trial(slot) };
      return start(disk);
    }
    case 'good':
      if (!onTrial || disk.full) return;
      disk.starts = 0;
      return write(withFewStarts(concludeTrial(slots, undefined, 1)));
    case 'back':
      if (!onTrial) return;
      write(refuseTrial(slots, 'UPDATE_NOT_CONNECTED', ''));
      return start(disk);
    case 'damageTrial':
      if (slots.trying !== null && !onTrial) disk.files[slots.trying.slot] = DIGESTS.other;
      return;
    case 'damageFile':
      disk.slots = undefined;
      return start(disk);
    case 'fill':
      disk.full = true;
      return;
    case 'free':
      disk.full = false;
      return;
    case 'forgive':
      return onTrial ? write({ ...slots, trying: { ...trial(disk.running === 'a' ? 'a' : 'b'), boots: 0 } }) : undefined;
    case 'prove':
      if (slots.good === null || !isAt(disk) || onTrial || disk.full) return;
      disk.starts = 0;
      return write(withFewStarts({ ...slots, good: { ...slots.good, watch: newWatch(0, 1) } }));
    case 'stop':
      if (!disk.full && isAt(disk) && !onTrial && disk.starts > 0) disk.starts -= 1;
      write(uncount(slots, disk.running));
      return start(disk);
    case 'giveUp':
      if (slots.good === null || isAt(disk) || onTrial || slots.refused !== null || !isLeftFor(slots.good)) return;
      write(leaveGood(slots, disk.running));
      if (!disk.full) disk.starts = 0;
      return;
  }
}

const isLeftFor = ({ watch }: GoodRelease): boolean => watch !== undefined && watch.boots >= watch.maxBoots;

/** What may never be, after any act. */
function wrongs(disk: Disk, goodBefore: { readonly slot: SlotName } | undefined, fileBefore: string | undefined): string[] {
  const { slots, files, running } = disk;
  const wrong: string[] = [];
  if (running !== 'packaged' && files[running] !== DIGESTS[running]) wrong.push('a damaged file runs');
  if (goodBefore !== undefined && slots?.good?.slot === goodBefore.slot && files[goodBefore.slot] !== fileBefore) {
    wrong.push('the good release was overwritten');
  }
  if (slots?.good && slots.before?.slot === slots.good.slot) wrong.push('both lie in one slot');
  if (slots?.good && slots.trying?.slot === slots.good.slot) wrong.push('a trial lies where the good release does');
  return wrong;
}

describe('any sequence of updates, kills, full and damaged disks', () => {
  it('leaves an agent running, with a good release never overwritten', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ACTS), { maxLength: 60 }), (acts) => {
        const disk: Disk = { slots: undefined, files: {}, running: 'packaged', full: false, starts: 0 };
        start(disk);
        for (const what of acts) {
          const good = disk.slots?.good;
          const before = good === null || good === undefined ? undefined : disk.files[good.slot];
          act(disk, what);
          expect(wrongs(disk, good ?? undefined, before)).toEqual([]);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('ends every trial that only crashes after its starts, at what was good before', () => {
    fc.assert(
      fc.property(fc.constantFrom<SlotName | null>('a', 'b', null), fc.integer({ min: 1, max: 5 }), (goodSlot, maxBoots) => {
        const other = goodSlot === 'a' ? 'b' : 'a';
        const good = goodSlot === null ? null : { ...trial(goodSlot) };
        const disk: Disk = {
          slots: { ...noSlots('0.1.0'), good, trying: trial(other, { maxBoots }) },
          files: { a: DIGESTS.a, b: DIGESTS.b },
          running: 'packaged',
          full: false,
          starts: 0,
        };
        const ran: Runnable[] = [];
        for (let starts = 0; starts <= maxBoots + 1; starts += 1) {
          start(disk);
          ran.push(disk.running);
        }
        expect(ran).toEqual([...Array.from({ length: maxBoots }, () => other), goodSlot ?? 'packaged', goodSlot ?? 'packaged']);
        expect(disk.slots?.refused?.code).toBe('UPDATE_EXITED');
      }),
    );
  });

  const places = fc.option(fc.record({ boots: fc.integer({ min: 0, max: 5 }), schema: fc.constantFrom(1, 2) }), { nil: null });
  const slotOf = (slot: SlotName, place: { boots: number; schema: number } | null): GoodRelease | null =>
    place === null ? null : watched(slot, place.boots, { watch: { ...place, maxBoots: 5, attempt: 0 } });

  it('finds an agent that does not end, wherever one is left that can read the state, and stays with it', () => {
    const sets = fc.subarray<SlotName>(['a', 'b']);
    fc.assert(
      fc.property(places, places, fc.integer({ min: 0, max: 3 }), sets, (good, before, boots, ending) => {
        const b = slotOf('b', good);
        const disk: Disk = {
          slots: {
            ...noSlots('0.1.0'),
            good: b,
            before: b === null ? null : slotOf('a', before),
            trying: boots === 3 ? null : trial('a', { boots }),
          },
          files: { a: DIGESTS.a, b: DIGESTS.b },
          running: 'packaged',
          full: false,
          starts: MAX_BOOTS,
        };
        const ends = (): boolean => ending.some((slot) => slot === disk.running);
        // A trial, the good one, the one before it: each as often as it may be, and one start more.
        for (let starts = 0; starts < 3 + 5 + 5 + 1; starts += 1) {
          start(disk);
          disk.starts = MAX_BOOTS;
          if (!ends()) break;
        }
        const last = disk.slots?.good;
        const nobodyElse = last?.slot === disk.running && isLeftFor(last) && last.watch?.schema === 2;
        expect(ends() && !nobodyElse).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never leaves a good release, nor counts beyond its last start, as long as one run in each bound proves itself', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 20 }), (cuts) => {
        const disk: Disk = {
          slots: { ...noSlots('0.1.0'), good: watched('a', 0) },
          files: { a: DIGESTS.a },
          running: 'packaged',
          full: false,
          starts: 0,
        };
        for (const count of cuts) {
          for (let cut = 0; cut <= count; cut += 1) start(disk);
          expect(disk.running).toBe('a');
          expect(disk.slots?.good?.watch?.boots).toBe(count + 1);
          disk.slots = { ...noSlots('0.1.0'), good: watched('a', 0) };
          disk.starts = 0;
        }
      }),
    );
  });
});
