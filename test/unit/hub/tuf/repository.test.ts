import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PublisherFolder } from '#hub/publisher/trust-folder.js';
import { initTrust, renewTrust, rotateRoot } from '#hub/publisher/trust-keeper.js';
import { renewPublisher } from '#hub/publisher/trust-sign.js';
import { hubPublicKeys, openHubKeys } from '#hub/registry/tuf/hub-keys.js';
import { TufRepository } from '#hub/registry/tuf/repository.js';
import { days, hours } from '#shared/kernel/time.js';
import { trustIndexSchema } from '#shared/protocol/messages.js';
import { KEY_FILE_COST, passphraseSecret } from '#shared/trust/key-file.js';
import { generateSigningKey, type SigningKey } from '#shared/trust/keys.js';
import { type JsonObject, parseMetadata, signMetadata } from '#shared/trust/metadata.js';
import { modelRoleName } from '#shared/trust/role-name.js';
import { decodeTrustUpdate, encodeTrustUpdate, trustUpdateSchema } from '#shared/trust/update.js';
import { MemoryTufStorage } from '../../../kit/memory-tuf-storage.js';
import {
  ceremony,
  currentFiles,
  FLEET,
  letIn,
  makeDevice,
  makeTrustWorld,
  published,
  publishVersion,
  refresh,
  ROLE,
  temporaryFolder,
  type TrustWorld,
  versionTarget,
} from '../../../kit/trust-world.js';

const VAD_1 = versionTarget('vad', 1, 'one');
const VAD = modelRoleName(ROLE, 'vad');

/** What is published, in a form that compares by content. */
function filesOf(world: TrustWorld): Readonly<Record<string, string>> {
  return Object.fromEntries([...published(world).files].map(([name, bytes]) => [name, Buffer.from(bytes).toString()]));
}

/** The publisher's key of a world, to sign what its own tools would refuse to. */
async function publisherKey(world: TrustWorld): Promise<SigningKey> {
  return world.folder.openKey(`publisher-${ROLE}.key.json`, world.secret);
}

/** The publisher's next file for the model, or another role of its, with `targets` put over the listed ones, correctly signed. */
async function nextFile(
  world: TrustWorld,
  change: (signed: JsonObject & { targets: JsonObject }) => JsonObject,
  role = VAD,
): Promise<Uint8Array> {
  const current = world.hub.roleFile(role);
  const signed = current.metadata.signed.toJSON() as JsonObject & { targets: JsonObject };
  const next = change({ ...signed, version: current.version + 1 });
  return signMetadata('targets', next, [await publisherKey(world)], role).bytes;
}

const entry = (target: typeof VAD_1, change: JsonObject = {}): JsonObject => ({
  length: target.length,
  hashes: { sha256: target.digest },
  custom: { ...target.custom },
  ...change,
});

describe('TufRepository', () => {
  it('publishes a consistent set under the names devices ask for', async () => {
    const world = await makeTrustWorld();
    await publishVersion(world, VAD_1);
    const { files, index, versions } = published(world);
    const director = [...files.keys()].find((name) => name.endsWith('.director.json'));
    expect([...files.keys()]).toEqual([
      '1.root.json',
      director,
      '1.targets.json',
      '2.acme.json',
      '1.acme_vad.json',
      '2.snapshot.json',
      'timestamp.json',
    ]);
    expect(trustIndexSchema.parse(index).files).toEqual([...files.keys()]);
    expect(versions).toEqual({ root: 1, targets: 1, snapshot: 2, timestamp: 2 });
    expect(world.hub.target(VAD_1.path)).toMatchObject({ role: VAD, digest: VAD_1.digest });
  });

  it('has the same set after a restart, and refuses to start over a damaged one', async () => {
    const world = await makeTrustWorld();
    await publishVersion(world, VAD_1);
    const before = filesOf(world);
    const options = { ...world, fleet: FLEET };
    world.hub = await TufRepository.open(options);
    expect(filesOf(world)).toEqual(before);
    world.storage.files.delete('2.acme.json');
    await expect(TufRepository.open(options)).rejects.toMatchObject({ code: 'TRUST_STATE_CORRUPT' });
  });

  it.each([0, 1, 2, 3])('keeps the old set when storage fails after %i of 4 writes, and takes the update again', async (writes) => {
    const world = await makeTrustWorld();
    const before = filesOf(world);
    world.storage.failAfter = world.storage.puts + writes;
    await expect(publishVersion(world, VAD_1)).rejects.toThrow('storage cut off');
    expect(filesOf(world)).toEqual(before);
    world.hub = await TufRepository.open({ ...world, fleet: FLEET });
    expect(filesOf(world)).toEqual(before);
    world.storage.failAfter = world.storage.puts + 4;
    await publishVersion(world, VAD_1);
    expect(world.hub.target(VAD_1.path)).toBeDefined();
  });

  it('stores the newest file of each role and every root, however much was published', async () => {
    const world = await makeTrustWorld();
    for (let version = 1; version <= 8; version += 1) await publishVersion(world, versionTarget('vad', version, `${version}`));
    await world.hub.accept(await renewTrust(ceremony(world)));
    const stored = [...world.storage.files.keys()].filter((name) => !name.endsWith('.director.json')).toSorted();
    expect(stored).toEqual([
      '1.root.json',
      '10.snapshot.json',
      '2.acme.json',
      '2.root.json',
      '2.targets.json',
      '8.acme_vad.json',
      'current.json',
    ]);
    expect(filesOf({ ...world, hub: await TufRepository.open({ ...world, fleet: FLEET }) })).toEqual(filesOf(world));
  });

  it('signs the timestamp again each time and the snapshot when half of its life is gone, and tells listeners', async () => {
    const world = await makeTrustWorld();
    const told: number[] = [];
    const stop = world.hub.onPublished(({ versions }) => told.push(versions.timestamp));
    await world.hub.resign();
    expect(published(world).versions).toMatchObject({ snapshot: 1, timestamp: 2 });
    world.clock.shift = days(4);
    await world.hub.resign();
    expect(published(world).versions).toMatchObject({ snapshot: 2, timestamp: 3 });
    stop();
    await world.hub.resign();
    expect(told).toEqual([2, 3]);
    const device = await makeDevice(world);
    expect(await refresh(world, device)).toMatchObject({ timestamp: 4 });
  });

  it('does nothing for the same files again', async () => {
    const world = await makeTrustWorld();
    await publishVersion(world, VAD_1);
    const before = published(world).versions;
    await world.hub.accept({ roots: [world.hub.root().bytes], roles: { [ROLE]: world.hub.roleFile(ROLE).bytes } });
    expect(published(world).versions).toEqual(before);
  });

  it('takes an update over the wire', async () => {
    const world = await makeTrustWorld();
    const update = await renewTrust(ceremony(world));
    const wire = trustUpdateSchema.parse(JSON.parse(JSON.stringify(encodeTrustUpdate(update))));
    expect((await world.hub.accept(decodeTrustUpdate(wire))).versions).toMatchObject({ root: 2, targets: 2 });
    await refresh(world, await makeDevice(world));
  });

  it('answers nothing before the first upload', async () => {
    const { keys, clock } = await makeTrustWorld();
    const hub = await TufRepository.open({ keys, clock, fleet: FLEET, storage: new MemoryTufStorage() });
    expect(hub.publication()).toBeUndefined();
    await hub.resign();
    expect(() => hub.root()).toThrow(expect.objectContaining({ code: 'TRUST_ROOT_MISSING' }));
    await expect(hub.accept({})).rejects.toMatchObject({ code: 'TRUST_ROOT_MISSING' });
  });
});

describe('what a first upload must be', () => {
  async function ceremonyFor(change: { fleet?: string } & Partial<Record<'snapshot' | 'timestamp' | 'director', SigningKey>>) {
    const world = await makeTrustWorld();
    const hub = hubPublicKeys(change.fleet ?? FLEET, { ...world.keys, ...change });
    const folder = new PublisherFolder(await temporaryFolder('publisher'), { cost: KEY_FILE_COST });
    const update = await initTrust({ ...ceremony(world), folder, hub, publisher: { role: ROLE, models: ['*'] } });
    const fresh = await TufRepository.open({ keys: world.keys, clock: world.clock, fleet: FLEET, storage: new MemoryTufStorage() });
    return { fresh, update };
  }

  it.each([
    ['for another snapshot key', 'TRUST_HUB_KEYS', { snapshot: generateSigningKey() }],
    ['for another timestamp key', 'TRUST_HUB_KEYS', { timestamp: generateSigningKey() }],
    ['for another director key', 'TRUST_HUB_KEYS', { director: generateSigningKey() }],
    ['for another fleet', 'TRUST_DIRECTOR_FORMAT', { fleet: 'elsewhere' }],
  ])('refused: %s', async (_name, code, change) => {
    const { fresh, update } = await ceremonyFor(change);
    await expect(fresh.accept(update)).rejects.toMatchObject({ code });
    expect(fresh.publication()).toBeUndefined();
  });

  it.each([
    ['targets', 'TRUST_TARGETS_MISSING'],
    ['roles', 'TRUST_TARGETS_MISSING'],
    ['director', 'TRUST_DIRECTOR_MISSING'],
  ])('refused: without %s', async (left, code) => {
    const { fresh, update } = await ceremonyFor({});
    await expect(fresh.accept(Object.fromEntries(Object.entries(update).filter(([name]) => name !== left)))).rejects.toMatchObject({
      code,
    });
    await fresh.accept(update);
  });
});

describe('what a publisher may not do', () => {
  const ocr = versionTarget('ocr', 1, 'ocr');
  type Signed = JsonObject & { targets: JsonObject };
  const table: readonly [string, string, (signed: Signed) => JsonObject][] = [
    [
      'replace a published content',
      'TRUST_TARGET_TAKEN',
      (s) => ({ ...s, targets: { [VAD_1.path]: entry(versionTarget('vad', 1, 'other')) } }),
    ],
    ['take a version off the list', 'TRUST_TARGET_TAKEN', (s) => ({ ...s, targets: {} })],
    [
      'change a description',
      'TRUST_TARGET_TAKEN',
      (s) => ({ ...s, targets: { [VAD_1.path]: entry(VAD_1, { custom: { ...VAD_1.custom, publishedAt: '2026-01-02T00:00:00Z' } }) } }),
    ],
    ['skip a version of its file', 'TRUST_TARGETS_VERSION', (s) => ({ ...s, version: Number(s['version']) + 1 })],
    [
      'repeat a version of its file',
      'TRUST_TARGETS_VERSION',
      (s) => ({ ...s, version: Number(s['version']) - 1, expires: '2998-01-01T00:00:00Z' }),
    ],
    ['upload an expired file', 'TRUST_METADATA_EXPIRED', (s) => ({ ...s, expires: '2020-01-01T00:00:00Z' })],
    ['publish under a name of others', 'TRUST_TARGET_FORBIDDEN', (s) => ({ ...s, targets: { ...s.targets, [ocr.path]: entry(ocr) } })],
    [
      'describe another version than the path names',
      'TRUST_TARGET_FORBIDDEN',
      (s) => ({ ...s, targets: { ...s.targets, 'models/vad/3.json': entry(versionTarget('vad', 2, 'x')) } }),
    ],
    [
      'leave the description out',
      'TRUST_TARGET_FORBIDDEN',
      (s) => ({ ...s, targets: { ...s.targets, 'models/vad/3.json': { length: 1, hashes: { sha256: 'ab'.repeat(32) } } } }),
    ],
    [
      'rule its own version out',
      'TRUST_TARGET_FORBIDDEN',
      (s) => ({ ...s, targets: { ...s.targets, 'models/vad/2.json': entry(versionTarget('vad', 2, 'x', 3)) } }),
    ],
    ['name the director keys', 'TRUST_TARGET_FORBIDDEN', (s) => ({ ...s, targets: { ...s.targets, 'hub/evil.json': entry(ocr) } })],
    ['delegate further from a model', 'TRUST_TARGETS_FORMAT', (s) => ({ ...s, delegations: { keys: {}, roles: [] } })],
  ];
  it.each(table)('%s: %s', async (_name, code, change) => {
    const world = await makeTrustWorld({ publisher: { role: ROLE, models: ['vad'] } });
    await publishVersion(world, VAD_1);
    const before = filesOf(world);
    await expect(world.hub.accept({ roles: { [VAD]: await nextFile(world, change) } })).rejects.toMatchObject({ code });
    expect(filesOf(world)).toEqual(before);
  });

  it.each(['stranger_vad', 'acme', `${ROLE}_ocr`])("delegate to %s what is not that role's model", async (name) => {
    const world = await makeTrustWorld();
    await publishVersion(world, VAD_1);
    const file = await nextFile(
      world,
      (signed) => {
        const { keys, roles } = signed['delegations'] as JsonObject & { readonly roles: readonly JsonObject[] };
        return { ...signed, delegations: { keys, roles: [...roles, { ...roles[0], name }] } } as JsonObject;
      },
      ROLE,
    );
    await expect(world.hub.accept({ roles: { [ROLE]: file } })).rejects.toMatchObject({ code: 'TRUST_TARGETS_FORMAT' });
  });

  it('take the delegation from a model, and with it its versions', async () => {
    const world = await makeTrustWorld();
    await publishVersion(world, VAD_1);
    const file = await nextFile(world, ({ delegations: _gone, ...signed }) => signed, ROLE);
    await expect(world.hub.accept({ roles: { [ROLE]: file } })).rejects.toMatchObject({ code: 'TRUST_TARGET_TAKEN' });
  });

  it('sign with another key, or for a role that is not delegated', async () => {
    const world = await makeTrustWorld();
    const signed = world.hub.roleFile(ROLE).metadata.signed.toJSON();
    const forged = signMetadata('targets', { ...signed, version: 2 }, [generateSigningKey()], ROLE).bytes;
    await expect(world.hub.accept({ roles: { [ROLE]: forged } })).rejects.toMatchObject({ code: 'TRUST_TARGETS_SIGNATURE' });
    await expect(world.hub.accept({ roles: { stranger: forged } })).rejects.toMatchObject({ code: 'TRUST_ROLE_UNKNOWN' });
  });

  it('lower a minimum version, though it may raise it on a published version', async () => {
    const world = await makeTrustWorld();
    const two = versionTarget('vad', 2, 'two', 1);
    await publishVersion(world, two);
    const withMinimum = (minimumVersion: number) => (signed: Signed) => ({
      ...signed,
      targets: { [two.path]: entry(two, { custom: { ...two.custom, minimumVersion } }) },
    });
    await world.hub.accept({ roles: { [VAD]: await nextFile(world, withMinimum(2)) } });
    await expect(world.hub.accept({ roles: { [VAD]: await nextFile(world, withMinimum(1)) } })).rejects.toMatchObject({
      code: 'TRUST_TARGET_TAKEN',
    });
    const device = await makeDevice(world);
    await refresh(world, device);
    expect(await device.client.minimumVersion('vad')).toBe(2);
  });
});

describe('several publishers', () => {
  it('each publish their own names, and none takes a path of another', async () => {
    const world = await makeTrustWorld();
    const publish = await letIn(world, 'ocr-team', { models: ['ocr-*'] });
    const mine = versionTarget('ocr-small', 1, 'mine');
    await publish(mine);
    await expect(publish(VAD_1)).rejects.toMatchObject({ code: 'TRUST_TARGET_FORBIDDEN' });
    // The first publisher is delegated every name and more trusted, and still cannot take a path that is published.
    await expect(publishVersion(world, versionTarget('ocr-small', 1, 'stolen'))).rejects.toMatchObject({ code: 'TRUST_TARGET_TAKEN' });
    const device = await makeDevice(world);
    await refresh(world, device);
    expect(await device.client.target(mine.path)).toEqual(mine);
  });

  it('renew their files one after the other when all have expired', async () => {
    const world = await makeTrustWorld({ lifetime: days(10) });
    world.clock.shift = days(11);
    await world.hub.resign();
    await expect(refresh(world, await makeDevice(world))).rejects.toMatchObject({ code: 'TRUST_METADATA_EXPIRED' });
    await world.hub.accept(await renewTrust(ceremony(world)));
    await world.hub.accept({ roles: await renewPublisher({ ...ceremony(world), role: ROLE, current: currentFiles(world) }) });
    await refresh(world, await makeDevice(world));
  });
});

describe('a root', () => {
  it('needs the old and the new keys, and the next version', async () => {
    const world = await makeTrustWorld();
    const other = await makeTrustWorld();
    const foreign = await rotateRoot({ ...ceremony(other), hub: hubPublicKeys(FLEET, world.keys) });
    await expect(world.hub.accept({ roots: foreign.roots ?? [] })).rejects.toMatchObject({ code: 'TRUST_ROOT_SIGNATURE' });
    const two = await rotateRoot(ceremony(world));
    const three = await rotateRoot(ceremony(world));
    await expect(world.hub.accept(three)).rejects.toMatchObject({ code: 'TRUST_ROOT_VERSION' });
    await world.hub.accept({ roots: [...(two.roots ?? []), ...(three.roots ?? [])] });
    expect(world.hub.root().version).toBe(3);
    expect(parseMetadata('root', published(world).files.get('2.root.json') ?? new Uint8Array()).version).toBe(2);
  });

  it('that changes the targets key comes with new targets or not at all', async () => {
    const world = await makeTrustWorld();
    const update = await rotateRoot({ ...ceremony(world), rotateTargets: true });
    await expect(world.hub.accept({ roots: update.roots ?? [] })).rejects.toMatchObject({ code: 'TRUST_TARGETS_SIGNATURE' });
    await world.hub.accept(update);
  });

  it('can name new keys of the hub after it lost its own', async () => {
    const world = await makeTrustWorld();
    const device = await makeDevice(world);
    await refresh(world, device);
    const keys = await openHubKeys(join(await temporaryFolder('hub'), 'keys'), passphraseSecret('hub'), KEY_FILE_COST);
    const moved = await TufRepository.open({ ...world, keys, fleet: FLEET });
    await moved.accept(await rotateRoot({ ...ceremony(world), hub: hubPublicKeys(FLEET, keys) }));
    world.hub = moved;
    expect(await refresh(world, device)).toMatchObject({ root: 2 });
    expect(await device.client.directorKeys()).toEqual([keys.director.publicKey]);
  });
});

describe('openHubKeys', () => {
  it('makes three sealed keys once', async () => {
    const folder = join(await temporaryFolder('hub'), 'keys');
    const secret = passphraseSecret('hub');
    const made = await openHubKeys(folder, secret, KEY_FILE_COST);
    expect(hubPublicKeys(FLEET, await openHubKeys(folder, secret))).toEqual(hubPublicKeys(FLEET, made));
    await expect(openHubKeys(folder, passphraseSecret('other'))).rejects.toMatchObject({ code: 'TRUST_KEY_SECRET' });
  });
});

describe('the clock of the hub', () => {
  it('going back does not keep it from signing, nor devices from following', async () => {
    const world = await makeTrustWorld();
    const device = await makeDevice(world);
    await refresh(world, device);
    world.clock.shift = hours(-5);
    await world.hub.resign();
    expect(await refresh(world, device)).toMatchObject({ timestamp: 2 });
  });
});
