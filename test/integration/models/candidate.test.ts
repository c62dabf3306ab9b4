import { describe, expect, it } from 'vitest';
import { SkerryError } from '#shared/kernel/errors.js';
import type { DesiredCandidate } from '#shared/protocol/desired-rollout.js';
import type { FakeVersion } from '../../kit/model-fakes.js';
import { ModelRig } from '../../kit/model-rig.js';
import { modelName } from '../../kit/servables.js';

const VAD = modelName('vad');

function beside({ version, manifest }: FakeVersion, rest: Partial<DesiredCandidate> = {}): DesiredCandidate {
  return { version, manifest, attempt: 0, action: 'stage', share: 0, sticky: 'key', salt: 'rollout:r', ...rest };
}

/** A device that serves version 1 as good, and version 2 to try. */
async function serving(options: Parameters<typeof ModelRig.create>[0] = {}, two: Parameters<ModelRig['version']>[3] = {}) {
  const { rig, one } = await ModelRig.serving(options);
  rig.run.servables.calls.length = 0;
  return { rig, one, two: rig.version('vad', 2, 'good', two) };
}
/** A new word from the hub was heard and everything that follows from it is done. */
async function acted(rig: ModelRig, holds: () => boolean | Promise<boolean>): Promise<void> {
  await rig.eventually('the device to act on it', holds);
  await rig.settled(VAD);
}
const reported = (rig: ModelRig) => rig.run.manager.reportedModels()[0];

describe('a version beside the one that serves', () => {
  it('is loaded and kept, and serves without another load once it is wanted', async () => {
    const { rig, one, two } = await serving();
    rig.desired.want({ ...one, candidate: beside(two) });
    await acted(rig, () => rig.run.servables.calls.length > 0);
    expect(rig.run.servables.calls).toEqual(['load vad@2']);
    expect(reported(rig)).toMatchObject({ serving: 1, candidate: { version: 2, action: 'stage' } });
    await rig.eventually('its attempt is forgiven', async () => (await rig.installOf(two)) === 'staged');
    expect(rig.run.servables.loaded()).toEqual(['vad@1', 'vad@2']);
    rig.desired.want(two);
    await acted(rig, () => rig.run.servables.answering(VAD) === 2);
    expect(rig.run.servables.calls).toEqual(['load vad@2', 'route vad@2', 'unload vad@1']);
    expect(await rig.installOf(two)).toBe('probation');
    await rig.eventually('good', async () => (await rig.installOf(two)) === 'good');
    expect(reported(rig)?.candidate).toBeUndefined();
  });

  it.each(['shadow', 'split'] as const)('takes part as a %s while the hub wants it, and goes when it does not', async (action) => {
    const { rig, one, two } = await serving();
    rig.desired.want({ ...one, candidate: beside(two, { action, share: 0.2 }) });
    await acted(rig, () => rig.run.servables.policies.size > 0);
    expect(rig.run.servables.policies.get(VAD)).toEqual({ candidate: 2, action, share: 0.2, sticky: 'key', salt: 'rollout:r' });
    expect(reported(rig)).toMatchObject({ serving: 1, candidate: { version: 2, action } });
    rig.desired.want({ ...one, candidate: beside(two, { action, share: 0.5 }) });
    await acted(rig, () => rig.run.servables.policies.get(VAD)?.share === 0.5);
    rig.desired.want(one);
    await acted(rig, () => rig.run.servables.policies.size === 0);
    expect(rig.run.servables.loaded()).toEqual(['vad@1']);
    expect(rig.run.servables.answering(VAD)).toBe(1);
  });

  it('comes back with its share after the agent ended at any moment, and its starts are not held against it for long', async () => {
    const { rig, one, two } = await serving();
    rig.desired.want({ ...one, candidate: beside(two, { action: 'split', share: 0.2 }) });
    for (let i = 0; i < 4; i++) {
      await rig.eventually('it stood', async () => (await rig.installOf(two)) === 'staged');
      await rig.crash();
      await rig.start();
      await rig.settled(VAD);
      expect(rig.run.servables.answering(VAD)).toBe(1);
      expect(rig.run.servables.policies.get(VAD)?.candidate).toBe(2);
    }
  });

  it('that takes the process down is given up, and the serving version serves', async () => {
    const { rig, one, two } = await serving();
    rig.desired.want({ ...one, candidate: beside(two, { action: 'shadow', share: 1 }) });
    await acted(rig, () => rig.run.servables.policies.size > 0);
    for (let i = 0; i < 3; i++) {
      await rig.crash();
      await rig.start();
      await rig.settled(VAD);
    }
    expect(await rig.installOf(two)).toBe('bad');
    expect(reported(rig)).toMatchObject({ serving: 1, versions: [{}, { version: 2, error: { code: 'MODELS_CRASHED' } }] });
  });

  it('that declares no memory is not refused for what the process grew by while another version loaded', async () => {
    const { rig, one, two } = await serving();
    rig.freeMemoryBytes = 400_000;
    rig.desired.want({ ...one, candidate: beside(two) });
    await acted(rig, () => reported(rig)?.candidate !== undefined);
    expect(reported(rig)?.candidate).toEqual({ version: 2, action: 'stage' });
  });

  it('that does not fit beside it in memory is refused with a code, and the old one stays', async () => {
    const { rig, one, two } = await serving({}, { memoryBytes: 500_000 });
    rig.freeMemoryBytes = 400_000;
    rig.desired.want({ ...one, candidate: beside(two) });
    await acted(rig, async () => (await rig.installOf(two)) === 'bad');
    expect(reported(rig)?.versions.find(({ version }) => version === 2)?.error?.code).toBe('MODELS_NOT_ENOUGH_MEMORY');
    expect(rig.run.servables.answering(VAD)).toBe(1);
    rig.freeMemoryBytes = 600_000;
    rig.desired.want({ ...one, candidate: beside(two, { attempt: 1 }) });
    await acted(rig, () => reported(rig)?.candidate !== undefined);
    expect(reported(rig)?.candidate).toEqual({ version: 2, action: 'stage' });
  });

  it('that fails its golden samples is refused; one that stops by itself is put away', async () => {
    const { rig, one, two } = await serving();
    const three = rig.version('vad', 3, new SkerryError('INFERENCE_GOLDEN_MISMATCH', 'output y differs'));
    rig.desired.want({ ...one, candidate: beside(three) });
    await acted(rig, async () => (await rig.installOf(three)) === 'bad');
    rig.desired.want({ ...one, candidate: beside(two, { action: 'split', share: 0.5 }) });
    await acted(rig, () => rig.run.servables.policies.size > 0);
    rig.run.servables.fail(two, new SkerryError('INFERENCE_SERVABLE_FAILED', 'its workers ended'));
    await acted(rig, async () => (await rig.installOf(two)) === 'bad');
    expect(rig.run.servables.policies.size).toBe(0);
    expect(rig.run.servables.loaded()).toEqual(['vad@1']);
    expect(rig.run.servables.answering(VAD)).toBe(1);
  });

  it('waits until the version it is beside serves', async () => {
    const rig = await ModelRig.create();
    const [one, two] = [rig.version('vad', 1), rig.version('vad', 2)];
    rig.desired.want({ ...one, candidate: beside(two) });
    await rig.start();
    await rig.settled(VAD);
    expect(rig.run.servables.calls).toEqual(['load vad@1', 'route vad@1', 'load vad@2']);
  });
});
