import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hubPublicKeys } from '#hub/registry/tuf/hub-keys.js';
import { addPublisher, initTrust, keptRoots, rotateRoot } from '#hub/publisher/trust-keeper.js';
import { createPublisher, signVersionTarget } from '#hub/publisher/trust-sign.js';
import { passphraseSecret } from '#shared/trust/key-file.js';
import { generateSigningKey } from '#shared/trust/keys.js';
import { parseMetadata, signMetadata } from '#shared/trust/metadata.js';
import { ceremony, FLEET, makeTrustWorld, publishVersion, ROLE, versionTarget } from '../../kit/trust-world.js';

const VAD_1 = versionTarget('vad', 1, 'one');
const VAD_2 = versionTarget('vad', 2, 'two');

describe('signVersionTarget', () => {
  it('adds a target and signs the next file, and the same content again changes nothing', async () => {
    const world = await makeTrustWorld();
    const options = { ...ceremony(world), role: ROLE };
    const first = await signVersionTarget({ ...options, current: world.hub.roleFile(ROLE).bytes, target: VAD_1 });
    expect(first).toMatchObject({ version: 2, changed: true });
    await world.hub.accept({ roles: { [ROLE]: first.bytes } });
    const again = await signVersionTarget({ ...options, current: first.bytes, target: VAD_1 });
    expect(again).toMatchObject({ version: 2, changed: false, bytes: first.bytes });
    const other = versionTarget('vad', 1, 'other');
    await expect(signVersionTarget({ ...options, current: first.bytes, target: other })).rejects.toMatchObject({
      code: 'TRUST_TARGET_TAKEN',
    });
  });

  it('signs anew after an upload that never arrived', async () => {
    const world = await makeTrustWorld();
    const options = { ...ceremony(world), role: ROLE, current: world.hub.roleFile(ROLE).bytes };
    await signVersionTarget({ ...options, target: VAD_1 });
    const second = await signVersionTarget({ ...options, target: VAD_2 });
    expect(second.version).toBe(2);
    await world.hub.accept({ roles: { [ROLE]: second.bytes } });
  });

  it('refuses a hub that takes a published file back, or gives another one of its version', async () => {
    const world = await makeTrustWorld();
    const options = { ...ceremony(world), role: ROLE };
    const before = world.hub.roleFile(ROLE).bytes;
    const unpublished = await signVersionTarget({ ...options, current: before, target: VAD_2 });
    await publishVersion(world, VAD_1);
    for (const current of [before, unpublished.bytes]) {
      await expect(signVersionTarget({ ...options, current, target: VAD_2 })).rejects.toMatchObject({ code: 'TRUST_PUBLISHER_ROLLBACK' });
    }
    const signed = await signVersionTarget({ ...options, current: world.hub.roleFile(ROLE).bytes, target: VAD_2 });
    expect(signed.version).toBe(3);
  });

  it('refuses to build upon what it did not sign itself', async () => {
    const world = await makeTrustWorld();
    const signed = world.hub.roleFile(ROLE).metadata.signed.toJSON();
    const current = signMetadata('targets', { ...signed, version: 9 }, [generateSigningKey()], ROLE).bytes;
    const options = { ...ceremony(world), role: ROLE, current, target: VAD_1 };
    await expect(signVersionTarget(options)).rejects.toMatchObject({ code: 'TRUST_TARGETS_SIGNATURE' });
    await expect(signVersionTarget({ ...options, role: 'stranger' })).rejects.toMatchObject({ code: 'TRUST_ROLE_UNKNOWN' });
    const secret = passphraseSecret('wrong');
    const own = world.hub.roleFile(ROLE).bytes;
    await expect(signVersionTarget({ ...options, current: own, secret })).rejects.toMatchObject({ code: 'TRUST_KEY_SECRET' });
  });
});

describe('the folder of a root keeper', () => {
  it('holds sealed keys only, and is not made twice', async () => {
    const world = await makeTrustWorld({ rootKeys: 2, rootThreshold: 2 });
    const keys = await readdir(join(world.folder.path, 'keys'));
    expect(keys.sort()).toEqual(['publisher-acme.key.json', 'root-1-1.key.json', 'root-1-2.key.json', 'targets-1.key.json']);
    for (const name of keys) {
      const file: unknown = JSON.parse(await readFile(join(world.folder.path, 'keys', name), 'utf8'));
      expect(Object.keys(file as object).sort()).toEqual(['kdf', 'keytype', 'publicKey', 'schema', 'sealed']);
    }
    const again = { ...ceremony(world), hub: hubPublicKeys(FLEET, world.keys), publisher: { role: ROLE, models: ['*'] } };
    await expect(initTrust(again)).rejects.toMatchObject({ code: 'TRUST_KEY_EXISTS' });
    await expect(rotateRoot({ ...ceremony(world), rootKeys: 1, rootThreshold: 2 })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('gives the chain of roots', async () => {
    const world = await makeTrustWorld();
    await world.hub.accept(await rotateRoot(ceremony(world)));
    expect((await keptRoots(world.folder)).map((bytes) => parseMetadata('root', bytes).version)).toEqual([1, 2]);
  });

  it('delegates only to a publisher who signed the file handed over', async () => {
    const world = await makeTrustWorld();
    const request = await createPublisher({ ...ceremony(world), fleet: FLEET, role: 'second' });
    const stolen = { ...request, publicKey: generateSigningKey().publicKey };
    await expect(addPublisher({ ...ceremony(world), request: stolen, models: ['*'] })).rejects.toMatchObject({
      code: 'TRUST_TARGETS_SIGNATURE',
    });
  });
});
