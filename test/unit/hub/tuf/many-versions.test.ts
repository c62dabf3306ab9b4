import { expect, it } from 'vitest';
import { AGENT_MODEL } from '#shared/bundle/names.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { commonFields, metaFileOf, modelDelegationsObject, targetObject } from '#shared/trust/metadata-build.js';
import { type JsonObject, type MetadataFile, signMetadata } from '#shared/trust/metadata.js';
import { modelRoleName } from '#shared/trust/role-name.js';
import { days } from '#shared/kernel/time.js';
import {
  deliver,
  makeDevice,
  makeTrustWorld,
  published,
  publishVersion,
  refresh,
  ROLE,
  type TrustWorld,
  versionTarget,
} from '../../../kit/trust-world.js';

const MODELS = 100;
const VERSIONS = 200;

/** Publishes many versions of many models in one update, as years of publishing one by one leave them. */
async function publishMany(world: TrustWorld): Promise<void> {
  const key = await world.folder.openKey(`publisher-${ROLE}.key.json`, world.secret);
  const expires = world.clock.now() + days(300);
  const files: MetadataFile<'targets'>[] = [];
  for (let index = 0; index < MODELS; index += 1) {
    const targets: JsonObject = {};
    for (let version = 1; version <= VERSIONS; version += 1) {
      const { path, length, digest, custom } = versionTarget(`model-${index}`, version, `${index} ${version}`);
      targets[path] = targetObject({ length, digest, custom: { ...custom } });
    }
    const role = modelRoleName(ROLE, `model-${index}`);
    files.push(signMetadata('targets', { ...commonFields('targets', 1, expires), targets }, [key], role));
  }
  const delegations = modelDelegationsObject(
    key.publicKey,
    files.map(({ role }) => role),
  );
  files.push(signMetadata('targets', { ...commonFields('targets', 2, expires), targets: {}, delegations }, [key], ROLE));
  await world.hub.accept({ roles: Object.fromEntries(files.map(({ role, bytes }) => [role, bytes])) });
}

it('publishing goes on beyond 20,000 versions of a publisher, and one more costs the file of its model, not of all', async () => {
  const world = await makeTrustWorld();
  await publishMany(world);
  const device = await makeDevice(world);
  await refresh(world, device);
  const before = new Map(published(world).files);
  const all = [...before.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(all).toBeGreaterThan(LIMITS.trustFileBytes); // More than one file may have.
  const stored = world.storage.bytes;
  const next = versionTarget('model-7', VERSIONS + 1, 'one more');
  await publishVersion(world, next);
  const sent = [...published(world).files].filter(([name, bytes]) => before.get(name) !== bytes);
  expect(sent.map(([name]) => name).toSorted()).toEqual([`2.${modelRoleName(ROLE, 'model-7')}.json`, '3.snapshot.json', 'timestamp.json']);
  const cost = sent.reduce((sum, [, bytes]) => sum + bytes.byteLength, 0);
  expect(cost).toBeLessThan(128 * 1024);
  expect(world.storage.bytes - stored).toBeLessThan(128 * 1024);
  deliver(device.mirror, published(world));
  await device.client.refresh();
  expect(await device.client.target(next.path)).toEqual(next);
  expect(await device.client.minimumVersion('model-7')).toBe(1);
  expect(await device.client.unavailable()).toEqual([]);
});

it('releases of the agent have a role of their own, which nothing under models/ reaches', async () => {
  const world = await makeTrustWorld({ publisher: { role: ROLE, models: ['*'], agent: true } });
  await publishVersion(world, versionTarget(AGENT_MODEL, 2, 'release'));
  await publishVersion(world, versionTarget('vad', 1, 'one'));
  const device = await makeDevice(world);
  await refresh(world, device);
  expect(await device.client.target('agent/2.json')).toBeDefined();
  expect(world.hub.target('agent/2.json')?.role).toBe(modelRoleName(ROLE, AGENT_MODEL));
  expect(metaFileOf(world.hub.roleFile(modelRoleName(ROLE, 'vad')))).toMatchObject({ version: 1 });
});

it('a model of a publisher that is held back costs the other models nothing', async () => {
  const world = await makeTrustWorld();
  const [vad, ocr] = [versionTarget('vad', 1, 'one'), versionTarget('ocr', 1, 'one')];
  await publishVersion(world, vad);
  await publishVersion(world, ocr);
  const device = await makeDevice(world);
  deliver(device.mirror, published(world), (name, bytes) => (name.includes('_vad') ? undefined : bytes));
  await device.client.refresh();
  expect(await device.client.unavailable()).toMatchObject([{ role: modelRoleName(ROLE, 'vad'), error: { code: 'TRUST_TARGETS_MISSING' } }]);
  await expect(device.client.target(vad.path)).rejects.toMatchObject({ code: 'TRUST_TARGETS_MISSING' });
  expect(await device.client.target(ocr.path)).toEqual(ocr);
  await refresh(world, device);
  expect(await device.client.target(vad.path)).toEqual(vad);
});
