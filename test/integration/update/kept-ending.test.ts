import { describe, expect, it } from 'vitest';
import { digestOf } from '#shared/bundle/digest.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { BAKE, UpdateRig } from '../../kit/update-rig.js';

const vad = { model: modelName('vad'), version: versionNumber(1), manifest: digestOf(Buffer.from('vad')) };
/** Starts of a good release before the device leaves it. */
const STARTS = 20;

/** A device on which these releases were found good, one after the other; the last of them runs. */
async function onReleases(...numbers: readonly number[]): Promise<UpdateRig> {
  const rig = await UpdateRig.create();
  for (const [index, number] of numbers.entries()) {
    rig.desired.want(vad, rig.release(number, 'good'));
    if (index === 0) await rig.start();
    await rig.settled(number, 'good');
  }
  rig.ran.length = 0;
  rig.moments.length = 0;
  return rig;
}

/** From now on these releases end whenever they are started; the one that runs is ended. */
async function endsFromNowOn(rig: UpdateRig, ...releases: readonly number[]): Promise<void> {
  for (const release of releases) rig.ending.add(String(release));
  await rig.start();
}

const times = (count: number, what: string): string[] => Array.from({ length: count }, () => what);
const boots = async (rig: UpdateRig): Promise<number | undefined> => (await rig.state())?.good?.watch?.boots;
const proven = (rig: UpdateRig): Promise<void> => rig.eventually('the release to prove itself', async () => (await boots(rig)) === 0);
const refusals = (rig: UpdateRig): unknown[] =>
  rig.events.emitted.filter(({ kind }) => kind === 'version.refused').map(({ version, error }) => [version, error?.code]);

describe('a release that was good and ends whenever it is started', () => {
  it('is left for the agent of the package, which says so and does not try it again', async () => {
    const rig = await onReleases(2);
    await endsFromNowOn(rig, 2);
    await rig.settled(2, 'bad');
    expect(rig.ran).toEqual([...times(STARTS, '2'), 'packaged']);
    expect(await rig.state()).toMatchObject({ good: null, before: null, trying: null, refused: null });
    expect(rig.reported(2)?.error).toEqual({
      code: 'UPDATE_CRASH_LOOP',
      message: 'good release 0.2.0 exited on 20 starts in a row',
    });
    expect(refusals(rig)).toEqual([[2, 'UPDATE_CRASH_LOOP']]);
    expect(rig.events.emitted).toContainEqual(expect.objectContaining({ kind: 'version.rolled-back', detail: { from: 2 } }));

    rig.ending.clear();
    for (let restarts = 0; restarts < 2; restarts += 1) {
      await rig.clock.advance(10 * BAKE);
      await rig.run.updater.idle();
      await rig.start();
    }
    expect(rig.ran.slice(STARTS)).toEqual(['packaged', 'packaged', 'packaged']);
    const two = rig.desired.current()?.models.find(({ model }) => model === 'skerry-agent');
    rig.desired.want(vad, { ...vad, ...two, attempt: 1 });
    await rig.settled(2, 'good');
    expect(rig.ran.at(-1)).toBe('2');
  });

  it('is left for the release before it, and that for the agent of the package when it ends as well', async () => {
    const rig = await onReleases(2, 3);
    await endsFromNowOn(rig, 3);
    await rig.settled(3, 'bad');
    expect(rig.ran).toEqual([...times(STARTS, '3'), '2']);
    expect(await rig.state()).toMatchObject({ good: { version: 2, slot: 'a' }, before: null, refused: null });
    expect(rig.run.updater.capability).toEqual({ able: true, release: 2 });
    rig.ran.length = 0;
    await endsFromNowOn(rig, 2);
    await rig.eventually('the packaged agent to have heard', async () => (await rig.state())?.refused === null);
    // One of its starts was the one in which it took over.
    expect(rig.ran).toEqual([...times(STARTS - 1, '2'), 'packaged']);
    expect(refusals(rig)).toEqual([
      [3, 'UPDATE_CRASH_LOOP'],
      [2, 'UPDATE_CRASH_LOOP'],
    ]);
  });

  it('is reported although the release before it ends before it can say so', async () => {
    const rig = await onReleases(2, 3);
    await endsFromNowOn(rig, 2, 3);
    await rig.settled(3, 'bad');
    expect(rig.ran).toEqual([...times(STARTS, '3'), ...times(STARTS, '2'), 'packaged']);
    await rig.eventually('both to be told', () => refusals(rig).length === 2);
    expect(refusals(rig)).toEqual([
      [2, 'UPDATE_CRASH_LOOP'],
      [3, 'UPDATE_CRASH_LOOP'],
    ]);
  });

  it('is left for the agent of the package where the release before it lies no more', async () => {
    const rig = await onReleases(2, 3);
    // A release on its way was put there, and comes no further.
    rig.onMoment = (moment) => (rig.diskFull ||= moment === 'after place');
    rig.desired.want(vad, rig.release(4, 'good'));
    await rig.eventually('release 4 to be complete', () => rig.reported(4)?.install === 'staged');
    expect(await rig.state()).toMatchObject({ good: { version: 3 }, before: null, trying: null });
    rig.onMoment = () => undefined;
    rig.desired.want(vad, rig.release(3, 'good'));
    rig.diskFull = false;
    await endsFromNowOn(rig, 3);
    await rig.settled(3, 'bad');
    expect(rig.ran.at(-1)).toBe('packaged');
  });

  it('is not left for a release that its publisher no longer allows', async () => {
    const rig = await onReleases(2, 3);
    rig.hub.minimums.set('skerry-agent', 3);
    await rig.start();
    await rig.eventually('release 2 to be dropped', async () => (await rig.state())?.before === null);
    await endsFromNowOn(rig, 3);
    await rig.settled(3, 'bad');
    expect(rig.ran.at(-1)).toBe('packaged');
  });

  it.each(['before adopt', 'after adopt'])('is left the same when what runs then is killed %s', async (moment) => {
    const rig = await onReleases(2, 3);
    rig.killAt(moment);
    await endsFromNowOn(rig, 3);
    await rig.settled(3, 'bad');
    expect(await rig.state()).toMatchObject({ good: { version: 2 }, before: null, refused: null });
    expect(refusals(rig)).toEqual([[3, 'UPDATE_CRASH_LOOP']]);
    expect(rig.moments).toContain(moment);
  });

  it.each([undefined, 'before giveUp', 'after giveUp'])('is left on a full disk too, killed: %s', async (moment) => {
    const rig = await onReleases(2);
    rig.ending.add('2');
    // Full from the moment all of its starts are counted.
    const slots = await rig.state();
    if (slots?.good?.watch === undefined) throw new Error('release 2 is not watched');
    await rig.slots.write({ ...slots, good: { ...slots.good, watch: { ...slots.good.watch, boots: STARTS } } });
    rig.diskFull = true;
    await rig.start();
    expect(rig.ran).toEqual(['packaged']);
    await rig.clock.advance(BAKE);
    await rig.run.updater.idle();
    expect(await boots(rig)).toBe(STARTS);
    if (moment !== undefined) rig.killAt(moment);
    rig.diskFull = false;
    await rig.settled(2, 'bad');
    expect(rig.ran.filter((name) => name !== 'packaged')).toEqual([]);
    expect(rig.reported(2)?.error?.code).toBe('UPDATE_CRASH_LOOP');
  });
});

describe('a release that is good and well', () => {
  it('is not left because of power cuts, as long as it now and then runs for the bake time', async () => {
    const rig = await onReleases(2);
    for (let rounds = 0; rounds < 3; rounds += 1) {
      for (let cuts = 0; cuts < STARTS - 1; cuts += 1) await rig.start();
      expect(await boots(rig)).toBe(STARTS - 1);
      await proven(rig);
    }
    expect(new Set(rig.ran)).toEqual(new Set(['2']));
  });

  it('writes its count back once in a run, and not before the bake time', async () => {
    const rig = await onReleases(2);
    await rig.start();
    await rig.clock.advance(BAKE - 5_000);
    await rig.run.updater.idle();
    expect(await boots(rig)).toBe(1);
    await proven(rig);
    await rig.clock.advance(20 * BAKE);
    await rig.run.updater.idle();
    expect(rig.moments).toEqual(['before prove', 'after prove']);
  });

  it('proves itself without a network', async () => {
    const rig = await onReleases(2);
    rig.online = false;
    await rig.start();
    await proven(rig);
  });

  it('is not left because it is ended in order, however often', async () => {
    const rig = await onReleases(2);
    await rig.start();
    for (let restarts = 0; restarts < 2 * STARTS; restarts += 1) {
      await rig.stop();
      expect(await boots(rig)).toBe(0);
      await rig.start();
    }
    expect(new Set(rig.ran)).toEqual(new Set(['2']));
  });

  it('is held to ends that nobody asked for', async () => {
    const rig = await onReleases(2);
    await rig.start();
    await rig.stop('failed');
    await rig.start();
    expect(await boots(rig)).toBe(2);
  });

  it('has proven itself only when it serves what it served before, or runs for long without', async () => {
    const rig = await onReleases(2);
    await rig.run.store.state.commitSwitch({ model: vad.model, serving: vad.version, lastKnownGood: undefined }, []);
    rig.notServing.add('vad');
    await rig.start();
    await rig.clock.advance(3 * BAKE);
    await rig.run.updater.idle();
    expect(await boots(rig)).toBe(1);
    rig.notServing.clear();
    const since = rig.clock.monotonic();
    await proven(rig);
    expect(rig.clock.monotonic() - since).toBeLessThan(2 * BAKE);
    rig.notServing.add('vad');
    await rig.start();
    await rig.clock.advance(9 * BAKE);
    await rig.run.updater.idle();
    expect(await boots(rig)).toBe(1);
    await proven(rig);
  });

  it('has not proven itself while it does not do its work, and an update does not wait for that', async () => {
    const rig = await onReleases(2);
    rig.alive = false;
    await rig.start();
    await rig.clock.advance(3 * BAKE);
    await rig.run.updater.idle();
    expect(await boots(rig)).toBe(1);
    rig.desired.want(vad, rig.release(3, 'good'));
    await rig.eventually('the next release to be tried', () => rig.ran.includes('3'));
  });

  it('is told under which attempt it is wanted, for a verdict that may come', async () => {
    const rig = await onReleases(2);
    const two = rig.desired.current()?.models.find(({ model }) => model === 'skerry-agent');
    rig.desired.want(vad, { ...vad, ...two, attempt: 5 });
    await rig.eventually('the attempt to be written', async () => (await rig.state())?.good?.watch?.attempt === 5);
    await endsFromNowOn(rig, 2);
    await rig.settled(2, 'bad');
    await rig.clock.advance(10 * BAKE);
    await rig.run.updater.idle();
    expect(rig.ran.at(-1)).toBe('packaged');
  });
});

describe('a release on trial', () => {
  it('is given up when its agent keeps failing, as when it crashes', async () => {
    const rig = await onReleases(2);
    rig.desired.want(vad, rig.release(3, 'good'));
    for (let trials = 1; trials <= 3; trials += 1) {
      await rig.eventually(
        `trial ${trials}`,
        () => rig.ran.filter((name) => name === '3').length === trials && rig.run.launched.runs === 'b',
      );
      await rig.stop('failed');
      await rig.start();
    }
    await rig.settled(3, 'bad');
    expect(rig.reported(3)?.error?.code).toBe('UPDATE_EXITED');
    expect(rig.ran.at(-1)).toBe('2');
  });
});
