import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hubPublicKeys } from '#hub/registry/tuf/hub-keys.js';
import { addPublisher, initTrust, rotateRoot } from '#hub/publisher/trust-keeper.js';
import { createPublisher, type CurrentFiles, signVersionTarget } from '#hub/publisher/trust-sign.js';
import { passphraseSecret } from '#shared/trust/key-file.js';
import { generateSigningKey } from '#shared/trust/keys.js';
import { parseMetadata, signMetadata } from '#shared/trust/metadata.js';
import { modelRoleName } from '#shared/trust/role-name.js';
import { ceremony, currentFiles, FLEET, makeTrustWorld, publishVersion, ROLE, versionTarget } from '../../kit/trust-world.js';

const VAD_1 = versionTarget('vad', 1, 'one');
const VAD_2 = versionTarget('vad', 2, 'two');

const MODEL = modelRoleName(ROLE, 'vad');

/** What a hub gives as the newest files, whatever it holds. */
const given =
  (files: Readonly<Record<string, Uint8Array>>): CurrentFiles =>
  (role) =>
    Promise.resolve(files[role]);
const versionOf = (bytes: Uint8Array | undefined, role = MODEL): number =>
  parseMetadata('targets', bytes ?? new Uint8Array(), role).version;

describe('signVersionTarget', () => {
  it('adds a target and signs the next file of its model, and the same content again changes nothing', async () => {
    const world = await makeTrustWorld();
    const options = { ...ceremony(world), role: ROLE, current: currentFiles(world) };
    const first = await signVersionTarget({ ...options, target: VAD_1 });
    expect(first.changed).toBe(true);
    expect([versionOf(first.roles[ROLE], ROLE), versionOf(first.roles[MODEL])]).toEqual([2, 1]);
    await world.hub.accept({ roles: first.roles });
    const again = await signVersionTarget({ ...options, target: VAD_1 });
    expect(again).toEqual({ changed: false, roles: { [MODEL]: first.roles[MODEL] } });
    const other = versionTarget('vad', 1, 'other');
    await expect(signVersionTarget({ ...options, target: other })).rejects.toMatchObject({ code: 'TRUST_TARGET_TAKEN' });
    const second = await signVersionTarget({ ...options, target: VAD_2 });
    expect(Object.keys(second.roles)).toEqual([MODEL]);
  });

  it('signs anew after an upload that never arrived', async () => {
    const world = await makeTrustWorld();
    const options = { ...ceremony(world), role: ROLE, current: currentFiles(world) };
    await signVersionTarget({ ...options, target: VAD_1 });
    const second = await signVersionTarget({ ...options, target: VAD_2 });
    expect(versionOf(second.roles[MODEL])).toBe(1);
    await world.hub.accept({ roles: second.roles });
  });

  it('refuses a hub that takes a published file back, holds one back, or gives another one of its version', async () => {
    const world = await makeTrustWorld();
    const options = { ...ceremony(world), role: ROLE };
    await publishVersion(world, VAD_1);
    const before = { [ROLE]: world.hub.roleFile(ROLE).bytes, [MODEL]: world.hub.roleFile(MODEL).bytes };
    const unpublished = await signVersionTarget({ ...options, current: given(before), target: versionTarget('vad', 2, 'unpublished') });
    await publishVersion(world, VAD_2);
    for (const model of [before[MODEL], unpublished.roles[MODEL]]) {
      const current = given({ ...before, ...(model && { [MODEL]: model }) });
      await expect(signVersionTarget({ ...options, current, target: versionTarget('vad', 3, 'three') })).rejects.toMatchObject({
        code: 'TRUST_PUBLISHER_ROLLBACK',
      });
    }
    const held = given({ [ROLE]: before[ROLE] });
    await expect(signVersionTarget({ ...options, current: held, target: VAD_2 })).rejects.toMatchObject({
      code: 'TRUST_PUBLISHER_ROLLBACK',
    });
    const signed = await signVersionTarget({ ...options, current: currentFiles(world), target: versionTarget('vad', 3, 'three') });
    expect(versionOf(signed.roles[MODEL])).toBe(3);
  });

  it('refuses to build upon what it did not sign itself', async () => {
    const world = await makeTrustWorld();
    const signed = world.hub.roleFile(ROLE).metadata.signed.toJSON();
    const forged = signMetadata('targets', { ...signed, version: 9 }, [generateSigningKey()], ROLE).bytes;
    const options = { ...ceremony(world), role: ROLE, current: given({ [ROLE]: forged }), target: VAD_1 };
    await expect(signVersionTarget(options)).rejects.toMatchObject({ code: 'TRUST_TARGETS_SIGNATURE' });
    await expect(signVersionTarget({ ...options, role: 'stranger' })).rejects.toMatchObject({ code: 'TRUST_ROLE_UNKNOWN' });
    const secret = passphraseSecret('wrong');
    await expect(signVersionTarget({ ...options, current: currentFiles(world), secret })).rejects.toMatchObject({
      code: 'TRUST_KEY_SECRET',
    });
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

  it('keeps the chain of roots', async () => {
    const world = await makeTrustWorld();
    await world.hub.accept(await rotateRoot(ceremony(world)));
    const roots = await Promise.all([1, 2].map((version) => world.folder.kept('root', version)));
    expect(roots.map(({ bytes }) => parseMetadata('root', bytes).version)).toEqual([1, 2]);
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
