import { describe, expect, it } from 'vitest';
import { SkerryError } from '#shared/kernel/errors.js';
import type { FakeVersion } from '../../kit/model-fakes.js';
import { ModelRig } from '../../kit/model-rig.js';
import { modelName } from '../../kit/servables.js';

const VAD = modelName('vad');

/** Version 2 of `vad` is on trial while the agent ends without order, `times` times; it alone was in native code where `guilty`. */
async function endings(times: number, guilty: boolean): Promise<{ rig: ModelRig; two: FakeVersion }> {
  const { rig } = await ModelRig.serving({ settings: { bake: 3_600_000 } });
  const other = rig.version('other', 1);
  const two = rig.version('vad', 2);
  rig.desired.want(two);
  await rig.answers(VAD, 2);
  for (let time = 0; time < times; time++) {
    await rig.crash();
    rig.suspects = [guilty ? two : other];
    await rig.start();
    await rig.settled(VAD);
  }
  return { rig, two };
}

describe('3: the agent ends again and again while a version is on trial', () => {
  it('in native code of another version: the one on trial is not marked', async () => {
    const { rig, two } = await endings(3, false);
    expect(await rig.installOf(two)).toBe('probation');
    expect(await rig.settled(VAD)).toBe(2);
  });

  it('in native code of that version: it is given up', async () => {
    const { rig, two } = await endings(3, true);
    await rig.answers(VAD, 1);
    expect(await rig.installOf(two)).toBe('bad');
    expect(rig.events.emitted.find((event) => event.kind === 'version.refused')?.error?.code).toBe('MODELS_CRASHED');
  });

  it('and no other can answer: it is loaded again after a pause, and never given up', async () => {
    const rig = await ModelRig.create({ settings: { bake: 3_600_000 } });
    const one = rig.version('vad', 1);
    rig.desired.want(one);
    await rig.start();
    await rig.answers(VAD, 1);
    await rig.crash();
    await rig.start();
    await rig.answers(VAD, 1);
    for (let time = 0; time < 3; time++) {
      await rig.crash();
      await rig.start();
      expect(await rig.settled(VAD)).toBeUndefined();
      await rig.answers(VAD, 1);
      expect(await rig.installOf(one)).toBe('probation');
    }
  });

  it('and it does not even load then, and no other can answer: it is tried until it does', async () => {
    const rig = await ModelRig.create({ settings: { bake: 3_600_000 } });
    const one = rig.version('vad', 1);
    rig.desired.want(one);
    await rig.start();
    await rig.answers(VAD, 1);
    await rig.crash();
    rig.behave(one, new SkerryError('INFERENCE_GOLDEN_MISMATCH', 'other outputs'));
    await rig.start();
    for (let minute = 0; minute < 10; minute++) await rig.clock.advance(60_000);
    expect(await rig.installOf(one)).toBe('probation');
    rig.behave(one, 'good');
    await rig.answers(VAD, 1);
  });
});

describe('7: a version on trial stops by itself', () => {
  const STUCK = new SkerryError('INFERENCE_SERVABLE_FAILED', 'it did not come back twice');

  it('and is all there is: it is loaded again, and never gone', async () => {
    const rig = await ModelRig.create();
    const one = rig.version('vad', 1);
    rig.desired.want(one);
    await rig.start();
    await rig.answers(VAD, 1);
    for (let time = 0; time < 2; time++) {
      rig.run.servables.fail(one, STUCK);
      await rig.answers(VAD, 1);
      expect(await rig.installOf(one)).toBe('probation');
    }
    await rig.eventually('it is good', async () => (await rig.installOf(one)) === 'good');
  });

  it('and another can answer: it is given up', async () => {
    const { rig } = await ModelRig.serving();
    const two = rig.version('vad', 2);
    rig.desired.want(two);
    await rig.answers(VAD, 2);
    rig.run.servables.fail(two, STUCK);
    await rig.answers(VAD, 1);
    expect(await rig.installOf(two)).toBe('bad');
  });
});
