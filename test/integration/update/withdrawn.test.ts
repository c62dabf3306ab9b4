import { describe, expect, it } from 'vitest';
import { digestOf } from '#shared/bundle/digest.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { UpdateRig } from '../../kit/update-rig.js';

const vad = { model: modelName('vad'), version: versionNumber(1), manifest: digestOf(Buffer.from('vad')) };

async function onRelease(): Promise<UpdateRig> {
  const rig = await UpdateRig.create();
  rig.desired.want(vad, rig.release(2, 'good'));
  await rig.start();
  await rig.settled(2, 'good');
  rig.ran.length = 0;
  rig.moments.length = 0;
  return rig;
}

const atPackage = (rig: UpdateRig): Promise<void> =>
  rig.eventually('the packaged agent to run, and nothing of releases to be said', async () => {
    const slots = await rig.state();
    return rig.ran.at(-1) === 'packaged' && slots?.good === null && rig.run.updater.reported().length === 0;
  });

describe('a device that is to run no release any more, as before its first rollout', () => {
  it('goes back to the agent of its package, and says so', async () => {
    const rig = await onRelease();
    rig.desired.want(vad);
    await atPackage(rig);
    expect(rig.ran).toEqual(['packaged']);
    expect(rig.run.updater.capability).toEqual({ able: true });
    expect(rig.events.emitted).toContainEqual(expect.objectContaining({ kind: 'version.rolled-back', detail: { from: 2 } }));
  });

  it.each(['before withdraw', 'after withdraw', 'before forget', 'after forget'])('ends the same when killed %s', async (moment) => {
    const rig = await onRelease();
    rig.killAt(moment);
    rig.desired.want(vad);
    await atPackage(rig);
    expect(rig.moments).toContain(moment);
  });

  it('takes the same release again when it is wanted again', async () => {
    const rig = await onRelease();
    const two = rig.desired.current()?.models.find(({ model }) => model === 'skerry-agent');
    rig.desired.want(vad);
    await atPackage(rig);
    if (two === undefined) throw new Error('no release was wanted');
    rig.desired.want(vad, two);
    await rig.settled(2, 'good');
    expect(rig.ran.at(-1)).toBe('2');
  });

  it.each([-1, 1])('stays with its release, and says why, where the package knows another schema of the state (%i)', async (difference) => {
    const rig = await onRelease();
    rig.packagedSchema += difference;
    await rig.start();
    rig.desired.want(vad);
    await rig.eventually('the reason', () => rig.reported(2)?.error?.code === 'UPDATE_CANNOT_ROLL_BACK');
    expect(rig.ran).toEqual(['2']);
    expect(rig.reported(2)?.install).toBe('good');
    expect(await rig.state()).toMatchObject({ good: { version: 2 } });
  });

  it('goes back from a release on trial as well', async () => {
    const rig = await onRelease();
    rig.desired.want(vad, rig.release(3, 'deaf'));
    await rig.eventually('the trial', async () => (await rig.state())?.trying?.version === 3 && rig.ran.at(-1) === '3');
    rig.desired.want(vad);
    await atPackage(rig);
    expect(rig.events.emitted.filter(({ kind }) => kind === 'version.refused')).toEqual([]);
  });
});

describe('a device that was never told anything', () => {
  it('stays with what runs', async () => {
    const rig = await UpdateRig.create();
    await rig.start();
    await rig.run.updater.idle();
    expect(rig.ran).toEqual(['packaged']);
    expect(rig.moments).toEqual([]);
  });
});
