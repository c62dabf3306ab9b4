import { array, assert, integer, property, uniqueArray } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withTaken } from '#hub/publisher/outgoing.js';
import { renewPublisher, retireVersions } from '#hub/publisher/trust-sign.js';
import { isRetired, retiredIn, withRetired } from '#shared/trust/retired.js';
import { type JsonObject, signMetadata } from '#shared/trust/metadata.js';
import { modelRoleName } from '#shared/trust/role-name.js';
import { modelName } from '../../../kit/servables.js';
import {
  ceremony,
  currentFiles,
  makeDevice,
  makeTrustWorld,
  publishVersion,
  refresh,
  ROLE,
  type TrustWorld,
  versionTarget,
} from '../../../kit/trust-world.js';

const VAD = modelRoleName(ROLE, 'vad');
const vad = (version: number, minimum = 1) => versionTarget('vad', version, `vad ${version}`, minimum);

async function standing(): Promise<TrustWorld> {
  const world = await makeTrustWorld();
  for (const version of [1, 2, 3, 4, 5]) await publishVersion(world, vad(version, version === 4 ? 3 : 1));
  return world;
}

const sign = (world: TrustWorld, versions: readonly number[]) =>
  retireVersions({ ...ceremony(world), role: ROLE, current: currentFiles(world), model: modelName('vad'), versions });

async function retire(world: TrustWorld, versions: readonly number[]): Promise<void> {
  const { roles } = await sign(world, versions);
  await world.hub.accept({ roles });
  await world.folder.save(withTaken(await world.folder.record(), { roles }));
}

describe('a publisher retires versions', () => {
  it('they are listed no more, their minimum versions still count, and devices take the next ones', async () => {
    const world = await standing();
    await retire(world, [1, 2, 4]);
    expect(retiredIn(world.hub.roleFile(VAD))).toEqual([
      [1, 2],
      [4, 4],
    ]);
    const device = await makeDevice(world);
    await refresh(world, device);
    for (const version of [1, 2, 4]) expect(await device.client.target(vad(version).path)).toBeUndefined();
    for (const version of [3, 5]) expect(await device.client.target(vad(version).path)).toBeDefined();
    expect(await device.client.minimumVersion('vad')).toBe(3);
    await publishVersion(world, vad(6));
    await retire(world, [3]);
    await refresh(world, device);
    expect(await device.client.target(vad(6).path)).toMatchObject({ digest: vad(6).digest });
    expect(await device.client.minimumVersion('vad')).toBe(3);
    expect(retiredIn(world.hub.roleFile(VAD))).toEqual([[1, 4]]);
    expect(await sign(world, [2])).toEqual({ changed: false, roles: { [VAD]: world.hub.roleFile(VAD).bytes } });
  });

  it('a retired number is never used again, also after the file is signed again', async () => {
    const world = await standing();
    await retire(world, [2]);
    await world.hub.accept({ roles: await renewPublisher({ ...ceremony(world), role: ROLE, current: currentFiles(world) }) });
    expect(retiredIn(world.hub.roleFile(VAD))).toEqual([[2, 2]]);
    await expect(publishVersion(world, versionTarget('vad', 2, 'another'))).rejects.toMatchObject({ code: 'TRUST_TARGET_TAKEN' });
  });

  it('the newest stays, and what was never listed is named', async () => {
    const world = await standing();
    await expect(sign(world, [5])).rejects.toMatchObject({ code: 'VERSION_NEWEST' });
    await expect(sign(world, [9])).rejects.toMatchObject({ code: 'VERSION_UNKNOWN' });
  });

  it.each<[string, (signed: JsonObject & { targets: JsonObject }) => JsonObject]>([
    ['the newest', ({ targets: { [vad(5).path]: _gone, ...targets }, ...rest }) => ({ ...rest, targets, retired: [[5, 5]] })],
    ['what it lists', (signed) => ({ ...signed, retired: [[2, 2]] })],
    [
      'the version whose minimum is the highest, and nothing takes it over',
      ({ targets: { [vad(4).path]: _gone, ...targets }, ...rest }) => ({ ...rest, targets, retired: [[4, 4]] }),
    ],
  ])('the hub refuses a file that retires %s', async (_what, change) => {
    const world = await standing();
    const file = world.hub.roleFile(VAD);
    const key = await world.folder.openKey(`publisher-${ROLE}.key.json`, world.secret);
    const signed = file.metadata.signed.toJSON() as JsonObject & { targets: JsonObject };
    const next = signMetadata('targets', { ...change(signed), version: file.version + 1 }, [key], VAD);
    await expect(world.hub.accept({ roles: { [VAD]: next.bytes } })).rejects.toMatchObject({ code: 'TRUST_TARGET_TAKEN' });
  });
});

it('ranges hold exactly the versions that were put into them, in as few ranges as there are gaps', () => {
  assert(
    property(array(uniqueArray(integer({ min: 1, max: 60 }))), (steps) => {
      const ranges = steps.reduce<ReturnType<typeof withRetired>>((before, versions) => withRetired(before, versions), []);
      const all = new Set(steps.flat());
      for (let version = 1; version <= 61; version += 1) expect(isRetired(ranges, version)).toBe(all.has(version));
      const starts = [...all].filter((version) => !all.has(version - 1)).length;
      expect(ranges).toHaveLength(starts);
    }),
  );
});
