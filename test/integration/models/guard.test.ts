import { describe, expect, it } from 'vitest';
import type { DesiredRollout } from '#shared/protocol/desired-rollout.js';
import type { VersionOptions } from '../../kit/model-fakes.js';
import { ModelRig } from '../../kit/model-rig.js';
import { modelName } from '../../kit/servables.js';

const VAD = modelName('vad');

/** A device that judges for itself, serves version 1 as good and has answered with it for a while. */
async function serving() {
  const { rig, one } = await ModelRig.serving({ judges: true });
  rig.asked(one, { answered: 1000, ms: 10 });
  return { rig, one };
}

/** The next version serves, on trial. */
async function onTrial(rig: ModelRig, number: number, attempt = 0, rollout?: DesiredRollout, options: VersionOptions = {}) {
  const version = rig.version('vad', number, undefined, options);
  rig.desired.want({ ...version, attempt, ...(rollout && { rollout }) });
  await rig.answers(VAD, number);
  return version;
}

async function wentBack(rig: ModelRig, to: number): Promise<void> {
  await rig.answers(VAD, to);
}

describe('a version on trial', () => {
  it('that fails what the one before did not is taken back, with the figures, and stays away', async () => {
    const { rig, one } = await serving();
    const two = await onTrial(rig, 2, 0, { id: 'rollout:r', wave: 1 });
    rig.asked(two, { answered: 30, failed: 30 });
    await wentBack(rig, 1);
    expect(await rig.installOf(two)).toBe('bad');
    expect(await rig.installOf(one)).toBe('good');
    expect(rig.events.emitted.find(({ kind }) => kind === 'version.rolled-back')).toMatchObject({
      version: 1,
      error: { code: 'MODELS_GUARD_ERRORS', message: expect.stringContaining('30 of 60 predictions failed') as string },
      detail: { from: 2, predictions: 60, failed: 30, baselinePredictions: 1000 },
    });
    const [report] = rig.run.manager.reportedModels();
    expect(report?.versions.find(({ version }) => version === 2)).toMatchObject({ install: 'bad', error: { code: 'MODELS_GUARD_ERRORS' } });
    const calls = rig.run.servables.calls.length;
    await rig.clock.advance(3_600_000);
    await rig.settled(VAD);
    expect(rig.run.servables.calls.slice(calls)).toEqual([]);
  });

  it('keeps its place when callers send what the one before did not take either', async () => {
    const { rig } = await serving();
    const two = await onTrial(rig, 2);
    rig.asked(two, { answered: 30, refused: 400 });
    await rig.clock.advance(60_000);
    expect(await rig.settled(VAD)).toBe(2);
    expect(rig.eventKinds()).not.toContain('version.rolled-back');
  });

  it('that refuses what the one before took, since its own inputs changed, is taken back', async () => {
    const { rig } = await serving();
    const two = await onTrial(rig, 2, 0, undefined, { width: 5 });
    rig.asked(two, { answered: 30, refused: 400 });
    await wentBack(rig, 1);
    expect(await rig.installOf(two)).toBe('bad');
    expect(rig.events.emitted.find(({ kind }) => kind === 'version.rolled-back')).toMatchObject({
      error: { code: 'MODELS_GUARD_ERRORS', message: expect.stringContaining('input x FP32 [-1,4] became x FP32 [-1,5]') as string },
    });
  });

  it('that is slower is taken back', async () => {
    const { rig } = await serving();
    const two = await onTrial(rig, 2);
    rig.asked(two, { answered: 200, ms: 60 });
    await wentBack(rig, 1);
    expect(rig.events.emitted.find(({ kind }) => kind === 'version.rolled-back')?.error?.code).toBe('MODELS_GUARD_LATENCY');
  });

  it('is gone back from, whoever says so first: the hub may want the old version while the device still loads it', async () => {
    const { rig, one } = await serving();
    const two = await onTrial(rig, 2);
    const stop = rig.run.manager.onChange(() => {
      const said = rig.run.manager.reportedModels()[0]?.versions.find(({ version }) => version === 2);
      if (said?.install === 'bad') rig.desired.want({ ...one, attempt: 1 });
    });
    rig.asked(two, { answered: 200, ms: 60 });
    await wentBack(rig, 1);
    stop();
    expect(rig.events.emitted.find(({ kind }) => kind === 'version.rolled-back')).toMatchObject({
      version: 1,
      error: { code: 'MODELS_GUARD_LATENCY' },
      detail: { from: 2 },
    });
  });

  it('whose workers end is taken back', async () => {
    const { rig } = await serving();
    const { model, version } = await onTrial(rig, 2);
    for (let i = 0; i < 2; i++) rig.behaviour.crashed({ model, version, variant: 'fp32', provider: 'cpu' });
    await wentBack(rig, 1);
    expect(rig.events.emitted.find(({ kind }) => kind === 'version.rolled-back')?.error?.code).toBe('MODELS_GUARD_CRASHES');
  });

  it('gives its golden outputs again before it counts as good, and is taken back when it does not', async () => {
    const { rig } = await serving();
    const two = await onTrial(rig, 2);
    await rig.eventually('version 2 is good', async () => (await rig.installOf(two)) === 'good');
    expect(rig.run.servables.calls).toContain('recheck vad@2');
    rig.run.servables.wrongNow.set('vad@3', 'output "y" differs');
    const three = rig.version('vad', 3);
    rig.desired.want(three);
    await rig.eventually('version 3 is refused', async () => (await rig.installOf(three)) === 'bad');
    await wentBack(rig, 2);
    expect(rig.events.emitted.find(({ kind }) => kind === 'version.rolled-back')?.error?.code).toBe('MODELS_GUARD_GOLDEN');
  });

  it('as good as the one before is good after the time the rollout says', async () => {
    const { rig } = await serving();
    const two = await onTrial(rig, 2, 0, { id: 'rollout:r', wave: 0, guard: { bake: 600_000 } });
    rig.asked(two, { answered: 2000, ms: 11 });
    await rig.clock.advance(590_000);
    await rig.settled(VAD);
    expect(await rig.installOf(two)).toBe('probation');
    await rig.eventually('version 2 is good', async () => (await rig.installOf(two)) === 'good');
  });

  it('is judged by what the old one did before the agent ended, too', async () => {
    const { rig } = await serving();
    const two = await onTrial(rig, 2);
    await rig.crash();
    await rig.start();
    await rig.answers(VAD, 2);
    rig.asked(two, { answered: 200, ms: 60 });
    await wentBack(rig, 1);
    expect(rig.events.emitted.find(({ kind }) => kind === 'version.rolled-back')?.error?.code).toBe('MODELS_GUARD_LATENCY');
  });

  it('stays when there is nothing to go back to', async () => {
    const rig = await ModelRig.create({ judges: true });
    const one = rig.version('vad', 1);
    rig.desired.want(one);
    await rig.start();
    await rig.settled(VAD);
    rig.asked(one, { failed: 500 });
    await rig.clock.advance(300_000);
    expect(await rig.settled(VAD)).toBe(1);
  });

  it('is not tried after the device went back three times in a day, until somebody says so anew', async () => {
    const { rig } = await serving();
    for (const number of [2, 3, 4]) {
      const version = await onTrial(rig, number);
      rig.asked(version, { failed: 100 });
      await wentBack(rig, 1);
    }
    const five = rig.version('vad', 5);
    rig.desired.want(five);
    await rig.eventually('version 5 is refused', async () => (await rig.installOf(five)) === 'bad');
    expect(rig.run.manager.reportedModels()[0]?.versions.find(({ version }) => version === 5)?.error?.code).toBe('MODELS_GUARD_FLAPPING');
    expect(rig.hub.sent.some((sent) => sent.startsWith(five.manifest))).toBe(false);
    // Also after a restart; a good version can always be gone back to.
    await rig.crash();
    await rig.start();
    await rig.settled(VAD);
    expect(await rig.installOf(five)).toBe('bad');
    rig.desired.want({ ...five, attempt: 1 });
    await rig.answers(VAD, 5);
  });
});
