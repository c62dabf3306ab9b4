import { afterEach, describe, expect, it } from 'vitest';
import { FEATURES } from '#shared/bundle/features.js';
import type { FakeVersion } from '../../kit/model-fakes.js';
import { ModelRig } from '../../kit/model-rig.js';
import { modelName } from '../../kit/servables.js';

// "This device cannot" is never a mark against the version (docs/PROTOCOL.md, "How formats grow").

const VAD = modelName('vad');
/** The table of this process: what the device's own update changes. */
const known = FEATURES as string[];

afterEach(() => {
  known.length = 0;
});

/** Lets time pass while the device cannot, and looks at what it says. */
async function cannot(rig: ModelRig, two: FakeVersion): Promise<void> {
  const said = (): unknown => rig.run.manager.reportedModels()[0]?.versions.find(({ version }) => version === 2)?.error?.code;
  await rig.eventually('it says that it cannot', () => said() === 'FEATURE_MISSING');
  for (let hour = 0; hour < 3; hour += 1) await rig.clock.advance(3_600_000);
  await rig.atRest();
  expect(said()).toBe('FEATURE_MISSING');
  expect(await rig.installOf(two)).not.toBe('bad');
  expect(rig.run.servables.answering(VAD)).toBe(1);
  expect(rig.eventKinds()).not.toContain('version.refused');
}

/** The agent is replaced by a release that has the feature. */
async function updated(rig: ModelRig): Promise<void> {
  await rig.close();
  known.push('mirroring');
  await rig.start();
}

describe('24 S: a version that needs what this agent lacks', () => {
  it('named in its manifest: the device serves on, says why, and takes it up after its own update', async () => {
    const { rig } = await ModelRig.serving();
    const two = rig.version('vad', 2, 'good', { later: { requires: ['mirroring'] } });
    rig.desired.want(two);
    await cannot(rig, two);
    await updated(rig);
    await rig.answers(VAD, 2);
  });

  it('named in the desired state: the same, also when the version is on the device already', async () => {
    const { rig } = await ModelRig.serving();
    const two = rig.version('vad', 2);
    rig.desired.want({ ...two, requires: ['mirroring'] });
    await cannot(rig, two);
    expect(rig.hub.sent.filter((piece) => piece.startsWith(two.manifest))).toEqual([]);
    await updated(rig);
    await rig.answers(VAD, 2);
  });

  it('a manifest of a later format is no bad version either', async () => {
    const { rig } = await ModelRig.serving();
    const two = rig.version('vad', 2, 'good', { later: { schema: 'skerry.manifest/2' } });
    rig.desired.want(two);
    const said = (): unknown => rig.run.manager.reportedModels()[0]?.versions.find(({ version }) => version === 2)?.error?.code;
    await rig.eventually('it says so', () => said() === 'FORMAT_NEWER');
    expect(await rig.installOf(two)).toBe('fetching');
    expect(rig.run.servables.answering(VAD)).toBe(1);
  });
});
