import { describe, expect, it } from 'vitest';
import { SkerryError } from '#shared/kernel/errors.js';
import { hours, minutes } from '#shared/kernel/time.js';
import type { Moment } from '#agent/models/observe.js';
import type { FakeVersion } from '../../kit/model-fakes.js';
import { ModelRig } from '../../kit/model-rig.js';
import { modelName } from '../../kit/servables.js';

// What a device must get out of by itself: nobody comes, and the hub says nothing new (R2).

const VAD = modelName('vad');
const BROKEN = new SkerryError('INFERENCE_GOLDEN_MISMATCH', 'output y differs');
const SLOW = new SkerryError('TIMEOUT', 'the machine was slow');

/** Version 2 serves and is good, version 1 is kept to go back to. */
async function servingTwo(): Promise<{ rig: ModelRig; one: FakeVersion; two: FakeVersion }> {
  const { rig, one } = await ModelRig.serving();
  const two = rig.version('vad', 2);
  rig.desired.want(two);
  await rig.eventually('version 2 is good', async () => (await rig.installOf(two)) === 'good');
  return { rig, one, two };
}

async function pass(rig: ModelRig, ms: number): Promise<void> {
  for (let n = 0; n < ms; n += 1_000) {
    await rig.atRest();
    await rig.clock.advance(1_000);
  }
  await rig.atRest();
}

const loading =
  (version: number) =>
  (moment: Moment): boolean =>
    moment.at === 'persisted' && moment.version === version && (moment.state === 'starting' || moment.state === 'good');

const loads = (rig: ModelRig, version: number): number => rig.run.servables.calls.filter((call) => call === `load vad@${version}`).length;

describe('files of what serves are lost', () => {
  it('while the disk is full for long: it is fetched again once there is space', async () => {
    const { rig, one } = await ModelRig.serving();
    await rig.run.store.blobs.delete(one.artifacts[0]!);
    await rig.close();
    rig.diskFull = true;
    await rig.start();
    await pass(rig, minutes(3));
    rig.diskFull = false;
    await rig.answers(VAD, 1);
  });

  it('and the hub wants a version that was given up: it is fetched again all the same', async () => {
    const { rig, one } = await ModelRig.serving();
    const two = rig.version('vad', 2, BROKEN);
    rig.desired.want(two);
    await rig.eventually('version 2 is bad', async () => (await rig.installOf(two)) === 'bad');
    await rig.run.store.blobs.delete(one.artifacts[0]!);
    await rig.close();
    await rig.start();
    await rig.answers(VAD, 1);
    await rig.eventually('version 1 is good', async () => (await rig.installOf(one)) === 'good');
    expect(await rig.installOf(two)).toBe('bad');
  });

  it('again and again over a long time, with times between in which it served: it is not given up', async () => {
    const { rig, one } = await ModelRig.serving();
    for (let n = 0; n < 6; n += 1) {
      await rig.run.store.blobs.delete(one.artifacts[0]!);
      rig.run.servables.fail(one, BROKEN);
      await rig.answers(VAD, 1);
    }
    expect(rig.eventKinds()).not.toContain('version.refused');
  });

  it('and, fetched again, it takes the process down: it is loaded again after a pause, since no other can answer', async () => {
    const { rig, one } = await ModelRig.serving();
    await rig.run.store.blobs.delete(one.artifacts[0]!);
    await rig.close();
    for (let n = 0; n < 2; n += 1)
      await rig.crashAt(
        (moment) => moment.at === 'persisted' && moment.state === 'starting',
        () => rig.start(),
      );
    await rig.start();
    expect(await rig.settled(VAD)).toBeUndefined();
    expect(loads(rig, 1)).toBe(0);
    await rig.answers(VAD, 1);
    expect(rig.eventKinds()).not.toContain('version.refused');
  });
});

describe('with a full disk', () => {
  it('a version that stops on probation is taken back, though that it is bad cannot be written down', async () => {
    const { rig } = await ModelRig.serving();
    const two = rig.version('vad', 2);
    rig.desired.want(two);
    await rig.answers(VAD, 2);
    rig.diskFull = true;
    rig.run.servables.fail(two, BROKEN);
    await rig.eventually('version 1 answers', () => rig.run.servables.answering(VAD) === 1);
    rig.diskFull = false;
    await rig.eventually('version 2 is bad', async () => (await rig.installOf(two)) === 'bad');
    await rig.eventually('it is durable', async () => (await rig.run.store.state.serving())[0]?.serving === 1);
    expect(rig.run.servables.answering(VAD)).toBe(1);
  });

  it('a good version that no longer loads is replaced by the one before it', async () => {
    const { rig, two } = await servingTwo();
    await rig.close();
    rig.behave(two, BROKEN);
    rig.diskFull = true;
    await rig.start();
    await rig.eventually('version 1 answers', () => rig.run.servables.answering(VAD) === 1);
    rig.diskFull = false;
    await rig.eventually('version 2 is bad', async () => (await rig.installOf(two)) === 'bad');
    expect(rig.run.servables.answering(VAD)).toBe(1);
  });

  it('files go although that a version is forgotten cannot be written down', async () => {
    const { rig, one } = await servingTwo();
    const three = rig.version('vad', 3);
    rig.desired.want(three);
    await rig.eventually('version 3 is good', async () => (await rig.installOf(three)) === 'good');
    rig.diskFull = true;
    rig.run.manager.makeSpace();
    await rig.eventually('the files of version 1 are gone', async () => !(await rig.run.store.blobs.has(one.artifacts[0]!)));
    expect(await rig.settled(VAD)).toBe(3);
  });
});

describe('what stops by itself', () => {
  it('and is all there is, is loaded again ever more slowly', async () => {
    const { rig, one } = await ModelRig.serving();
    const before = loads(rig, 1);
    for (let n = 0; n < 300; n += 1) {
      await rig.settled(VAD);
      if (rig.run.servables.answering(VAD) === 1) rig.run.servables.fail(one, BROKEN);
      await rig.settled(VAD);
      await rig.clock.advance(1_000);
    }
    expect(loads(rig, 1) - before).toBeGreaterThan(5);
    expect(loads(rig, 1) - before).toBeLessThan(30);
  });

  it('once in a long while, is not what keeps failing', async () => {
    const { rig, two } = await servingTwo();
    for (let n = 0; n < 6; n += 1) {
      rig.run.servables.fail(two, BROKEN);
      await rig.answers(VAD, 2);
      await rig.clock.advance(hours(2));
    }
    expect(await rig.installOf(two)).toBe('good');
  });
});

describe('the only version to go back to', () => {
  it('is not given up for being slow to load, however often', async () => {
    const { rig, one, two } = await servingTwo();
    await rig.close();
    rig.behave(two, BROKEN);
    rig.behave(one, SLOW);
    await rig.start();
    await rig.eventually('version 1 was tried often', () => loads(rig, 1) > 8);
    rig.behave(one, 'good');
    await rig.answers(VAD, 1);
  });

  it('that takes the process down at every start leaves the hub and other models a while', async () => {
    const { rig } = await ModelRig.serving();
    await rig.crash();
    for (let n = 0; n < 5; n += 1) await rig.crashAt(loading(1), () => rig.start());
    await rig.start();
    await pass(rig, minutes(4));
    expect(loads(rig, 1)).toBe(0);
    await rig.answers(VAD, 1);
  });
});
