import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { digestOf } from '#shared/bundle/digest.js';
import { bytesFrom } from '../../kit/agent-store.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { type ReleaseBehaviour, UpdateRig } from '../../kit/update-rig.js';

// A step of self-update writes to two places, the launcher's file and the records; here the process is killed after each write,
// so that the order of the two matters.

const vad = { model: modelName('vad'), version: versionNumber(1), manifest: digestOf(Buffer.from('vad')) };

interface Case {
  readonly name: string;
  /** What is good before, one after the other. */
  readonly before: readonly number[];
  /** Begins what is looked at. */
  readonly begin: (rig: UpdateRig) => Promise<void> | void;
  /** True when the device is at rest as it should be. */
  readonly isOver: (rig: UpdateRig) => Promise<boolean>;
  /** At least so many writes, or this test looks at something else than it means. */
  readonly writes: number;
}

const rolls = (behaviour: ReleaseBehaviour): Case['begin'] => {
  return (rig) => rig.desired.want(vad, rig.release(3, behaviour));
};

const restsAt = (good: number | null, release: number, install: 'good' | 'bad' | undefined, code?: string): Case['isOver'] => {
  return async (rig) => {
    const slots = await rig.state();
    const said = rig.reported(release);
    const runs = rig.run.updater.capability.release ?? null;
    const settled = slots?.trying === null && slots.refused === null && (slots.good?.version ?? null) === good && runs === good;
    return settled && said?.install === install && said?.error?.code === code;
  };
};

const CASES: readonly Case[] = [
  { name: 'a good release', before: [2], begin: rolls('good'), isOver: restsAt(3, 3, 'good'), writes: 10 },
  { name: 'a crashing release', before: [2], begin: rolls('crash'), isOver: restsAt(2, 3, 'bad', 'UPDATE_EXITED'), writes: 8 },
  { name: 'a deaf release', before: [2], begin: rolls('deaf'), isOver: restsAt(2, 3, 'bad', 'UPDATE_NOT_CONNECTED'), writes: 10 },
  { name: 'no release any more', before: [2], begin: (rig) => rig.desired.want(vad), isOver: restsAt(null, 2, undefined), writes: 2 },
  {
    name: 'a release that keeps ending, with one before it',
    before: [2, 3],
    begin: (rig) => {
      rig.ending.add('3');
      return rig.start();
    },
    isOver: restsAt(2, 3, 'bad', 'UPDATE_CRASH_LOOP'),
    writes: 3,
  },
];

describe.each(CASES)('$name', ({ before, begin, isOver, writes }) => {
  it('ends the same whichever write was the last before the process was gone', async () => {
    let kills = 0;
    for (let last = false; !last; kills += last ? 0 : 1) {
      const rig = await UpdateRig.create();
      for (const [index, number] of before.entries()) {
        rig.desired.want(vad, rig.release(number, 'good'));
        if (index === 0) await rig.start();
        await rig.settled(number, 'good');
      }
      rig.ran.length = 0;
      rig.killAfterWrites(kills + 1);
      await begin(rig);
      await rig.eventually(`the end, killed after ${kills + 1} writes`, () => isOver(rig));
      last = !rig.wasKilled;
      const good = (await rig.state())?.good;
      const content = good ? await readFile(rig.slots.executable(good.slot)) : undefined;
      expect(content?.equals(bytesFrom(`agent ${good?.version}`, 10_000))).not.toBe(false);
      // Nothing is tried more often than it may be, and nothing is refused that did well.
      expect(rig.events.emitted.filter(({ kind }) => kind === 'version.refused').length).toBeLessThanOrEqual(1);
      expect(rig.ran.filter((name) => name === '3').length).toBeLessThanOrEqual(before.length > 1 ? 20 : 3);
    }
    expect(kills).toBeGreaterThanOrEqual(writes);
  }, 300_000);
});
