import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planLaunch } from '#agent/update/launch-plan.js';
import { concludeTrial, noSlots, refuseTrial, type Runnable, type SlotName, type Slots, spareSlot } from '#agent/update/slots.js';
import { DIGESTS, trial } from '../../unit/update/slots-kit.js';

// A device reduced to what lies on its disk. Each act changes the disk by one write, as the product does; after any of them
// the process may be gone. What is checked is what the next start finds.

interface Disk {
  slots: Slots | undefined;
  /** Digests of the executables; a release that is good is never overwritten. */
  files: Partial<Record<SlotName, string>>;
  running: Runnable;
  /** Every write fails. */
  full: boolean;
}

type Act = 'kill' | 'place' | 'handOver' | 'good' | 'back' | 'damageTrial' | 'damageFile' | 'fill' | 'free' | 'forgive';
const ACTS: readonly Act[] = ['kill', 'place', 'handOver', 'good', 'back', 'damageTrial', 'damageFile', 'fill', 'free', 'forgive'];

/** The launcher; an executable that the system refuses is passed over, as one that is damaged. */
function start(disk: Disk): void {
  const content = Object.fromEntries(Object.entries(disk.files).map(([slot, digest]) => [slot, { kind: 'file', digest }] as const));
  const plan = planLaunch({ slots: disk.slots, content, packaged: '0.1.0' });
  const written = plan.write === undefined || !disk.full;
  if (plan.write !== undefined && written) disk.slots = plan.write;
  expect(plan.starts.at(-1)).toEqual({ kind: 'packaged' });
  const [first] = plan.starts.filter((each) => each.kind !== 'trial' || written);
  disk.running = first === undefined || first.kind === 'packaged' ? 'packaged' : first.slot;
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
      if (slots.trying !== null) write({ ...slots, trying: null });
      if (!disk.full) disk.files[spareSlot(slots)] = DIGESTS[spareSlot(slots)];
      return;
    }
    case 'handOver': {
      const slot = spareSlot(slots);
      if (onTrial || disk.files[slot] !== DIGESTS[slot] || disk.full) return;
      disk.slots = { ...slots, trying: trial(slot) };
      return start(disk);
    }
    case 'good':
      return onTrial ? write(concludeTrial(slots, undefined)) : undefined;
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
  }
}

/** What may never be, after any act. */
function wrongs(disk: Disk, goodBefore: { readonly slot: SlotName } | undefined, fileBefore: string | undefined): string[] {
  const { slots, files, running } = disk;
  const wrong: string[] = [];
  if (running !== 'packaged' && files[running] !== DIGESTS[running]) wrong.push('a damaged file runs');
  if (goodBefore !== undefined && slots?.good?.slot === goodBefore.slot && files[goodBefore.slot] !== fileBefore) {
    wrong.push('the good release was overwritten');
  }
  if (slots?.good && slots.trying?.slot === slots.good.slot) wrong.push('a trial lies where the good release does');
  return wrong;
}

describe('any sequence of updates, kills, full and damaged disks', () => {
  it('leaves an agent running, with a good release never overwritten', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ACTS), { maxLength: 60 }), (acts) => {
        const disk: Disk = { slots: undefined, files: {}, running: 'packaged', full: false };
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
        };
        const ran: Runnable[] = [];
        for (let starts = 0; starts <= maxBoots + 1; starts += 1) {
          start(disk);
          ran.push(disk.running);
        }
        expect(ran).toEqual([...Array.from({ length: maxBoots }, () => other), goodSlot ?? 'packaged', goodSlot ?? 'packaged']);
        expect(disk.slots?.refused?.code).toBe('UPDATE_ENDED');
      }),
    );
  });
});
