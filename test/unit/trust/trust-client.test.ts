import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { TRUST_INDEX_FILE } from '#agent/sync/trust-mirror.js';
import { rotateRoot } from '#hub/publisher/trust-keeper.js';
import { days } from '#shared/kernel/time.js';
import { generateSigningKey, type SigningKey } from '#shared/trust/keys.js';
import { type JsonObject, type Kind, parseMetadata, sha256Hex, signMetadata } from '#shared/trust/metadata.js';
import { modelRoleName } from '#shared/trust/role-name.js';
import { metaFileOf } from '#shared/trust/metadata-build.js';
import {
  ceremony,
  deliver,
  makeDevice,
  makeTrustWorld,
  published,
  publishVersion,
  refresh,
  ROLE,
  type TestDevice,
  type TrustWorld,
  versionTarget,
} from '../../kit/trust-world.js';

const VAD_1 = versionTarget('vad', 1, 'one');
const VAD_2 = versionTarget('vad', 2, 'two', 2);

describe('the way from publisher over hub to device', () => {
  it('brings a version, its minimum and the director keys', async () => {
    const world = await makeTrustWorld();
    const device = await makeDevice(world);
    await expect(device.client.directorKeys()).rejects.toMatchObject({ code: 'TRUST_DIRECTOR_MISSING' });
    expect(await device.client.versions()).toEqual({ root: 1, timestamp: 0, snapshot: 0 });
    expect(await refresh(world, device)).toEqual({ root: 1, timestamp: 1, snapshot: 1 });
    expect(await device.client.target(VAD_1.path)).toBeUndefined();
    await publishVersion(world, VAD_1);
    await publishVersion(world, VAD_2);
    expect(await refresh(world, device)).toEqual({ root: 1, timestamp: 3, snapshot: 3 });
    expect(await device.client.target(VAD_2.path)).toEqual(VAD_2);
    expect(await device.client.target('constructor')).toBeUndefined();
    expect(await device.client.minimumVersion('vad')).toBe(2);
    expect(await device.client.minimumVersion('ocr')).toBe(0);
    expect(await device.client.directorKeys()).toEqual([world.keys.director.publicKey]);
  });

  it('answers from the last accepted state after a restart, offline and after expiry', async () => {
    const world = await makeTrustWorld();
    await publishVersion(world, VAD_1);
    const device = await makeDevice(world);
    await refresh(world, device);
    world.clock.shift = days(3_000);
    const again = await makeDevice(world, { folder: device.folder, pin: false });
    expect(await again.client.target(VAD_1.path)).toEqual(VAD_1);
    await expect(again.client.refresh()).rejects.toMatchObject({ code: 'TRUST_MIRROR_INCOMPLETE' });
    await expect(refresh(world, again)).rejects.toMatchObject({ code: 'TRUST_METADATA_EXPIRED' });
    expect(await again.client.target(VAD_1.path)).toEqual(VAD_1);
  });

  it('shares one refresh among callers and changes nothing on disk when nothing is new', async () => {
    const world = await makeTrustWorld();
    const device = await makeDevice(world);
    deliver(device.mirror, published(world));
    const [one, two] = await Promise.all([device.client.refresh(), device.client.refresh()]);
    expect(one).toEqual(two);
    const before = await readFile(join(device.folder, 'current'));
    await refresh(world, device);
    expect(await readFile(join(device.folder, 'current'))).toEqual(before);
    expect((await readdir(device.folder)).sort()).toEqual(['anchor.root.json', 'current', 'state-2']);
  });

  it('is refused before enrolment, and a second root is not pinned over the first', async () => {
    const world = await makeTrustWorld();
    const other = await makeTrustWorld();
    const device = await makeDevice(world, { pin: false });
    await expect(device.client.target('x')).rejects.toMatchObject({ code: 'TRUST_ROOT_MISSING' });
    await device.client.pin(world.hub.root().bytes);
    await device.client.pin(world.hub.root().bytes);
    await expect(device.client.pin(other.hub.root().bytes)).rejects.toMatchObject({ code: 'TRUST_ROOT_PINNED' });
    await expect(device.client.pin(Buffer.from('{}'))).rejects.toMatchObject({ code: 'TRUST_ROOT_FORMAT' });
    await expect(refresh(other, device)).rejects.toMatchObject({ code: 'TRUST_TIMESTAMP_SIGNATURE' });
  });

  it('says so when the stored state is damaged, instead of starting over', async () => {
    const world = await makeTrustWorld();
    const device = await makeDevice(world);
    await refresh(world, device);
    const targets = join(device.folder, 'state-2', 'targets.json');
    await writeFile(targets, (await readFile(targets, 'utf8')).replace('hub/director', 'hub/directed'));
    const again = await makeDevice(world, { folder: device.folder, pin: false });
    await expect(again.client.target('x')).rejects.toMatchObject({ code: 'TRUST_STATE_CORRUPT' });
    await writeFile(join(device.folder, 'current'), '../elsewhere');
    await expect(again.client.target('x')).rejects.toMatchObject({ code: 'TRUST_STATE_CORRUPT' });
  });

  it('follows the root over several rotations at once, and forgets the old keys', async () => {
    const world = await makeTrustWorld({ rootKeys: 3, rootThreshold: 2 });
    const late = await makeDevice(world);
    const device = await makeDevice(world);
    await refresh(world, device);
    await world.hub.accept(await rotateRoot({ ...ceremony(world), rootKeys: 2, rootThreshold: 2 }));
    await world.hub.accept(await rotateRoot({ ...ceremony(world), rotateTargets: true }));
    expect(await refresh(world, device)).toMatchObject({ root: 3 });
    expect(await refresh(world, late)).toMatchObject({ root: 3 });
    await publishVersion(world, VAD_1);
    await refresh(world, late);
    expect(await late.client.target(VAD_1.path)).toEqual(VAD_1);
  });
});

const MODEL = modelRoleName(ROLE, 'vad');

/** Changes the signed part of a file and signs it with `keys` (its own, or those of an attacker). */
function forged(kind: Kind, bytes: Uint8Array, keys: readonly SigningKey[], change: JsonObject, role: string = kind): Uint8Array {
  const { signed } = parseMetadata(kind, bytes, role).metadata;
  return signMetadata(kind, { ...signed.toJSON(), ...change }, keys, role).bytes;
}

/** Signs an invalid file without the checks our own code makes when it signs. */
function invalid(bytes: Uint8Array, change: JsonObject): Uint8Array {
  const file: unknown = JSON.parse(Buffer.from(bytes).toString());
  const { signed, ...rest } = file as { signed: JsonObject };
  return Buffer.from(JSON.stringify({ ...rest, signed: { ...signed, ...change } }));
}

const flipped = (bytes: Uint8Array): Uint8Array => {
  const text = Buffer.from(bytes).toString();
  const at = text.indexOf('"sig":"') + 10;
  return Buffer.from(`${text.slice(0, at)}${text[at] === '0' ? '1' : '0'}${text.slice(at + 1)}`);
};

describe('tampering on the way', () => {
  let world: TrustWorld;
  let stranger: SigningKey;
  let old: ReadonlyMap<string, Uint8Array>;
  const later = '2999-01-01T00:00:00Z';

  beforeAll(async () => {
    world = await makeTrustWorld();
    stranger = generateSigningKey();
    await publishVersion(world, VAD_1);
    old = published(world).files;
    await publishVersion(world, VAD_2);
    await world.hub.accept(await rotateRoot(ceremony(world)));
  });

  async function standing(at: 'fresh' | 'current'): Promise<TestDevice> {
    const device = await makeDevice(world, { pin: false });
    await device.client.pin(old.get('1.root.json') ?? new Uint8Array());
    if (at === 'current') await refresh(world, device);
    return device;
  }

  type Change = (name: string, bytes: Uint8Array) => Uint8Array | undefined;
  const only =
    (pattern: RegExp, change: (bytes: Uint8Array) => Uint8Array | undefined): Change =>
    (name, bytes) =>
      pattern.test(name) ? change(bytes) : bytes;

  const table: readonly [string, string, 'fresh' | 'current', () => Change][] = [
    ['root: bit flipped', 'TRUST_ROOT_SIGNATURE', 'fresh', () => only(/^2\.root/, flipped)],
    ['root: made by a stranger', 'TRUST_ROOT_SIGNATURE', 'fresh', () => only(/^2\.root/, (b) => forged('root', b, [stranger], {}))],
    ['root: the first one again as the second', 'TRUST_ROOT_VERSION', 'fresh', () => only(/^2\.root/, () => old.get('1.root.json'))],
    ['root: not JSON', 'TRUST_ROOT_FORMAT', 'fresh', () => only(/^2\.root/, () => Buffer.from('{'))],
    ['root: no date', 'TRUST_METADATA_DATE', 'fresh', () => only(/^2\.root/, (b) => invalid(b, { expires: 'never' }))],
    ['timestamp: bit flipped', 'TRUST_TIMESTAMP_SIGNATURE', 'fresh', () => only(/^timestamp/, flipped)],
    [
      'timestamp: by a stranger',
      'TRUST_TIMESTAMP_SIGNATURE',
      'current',
      () => only(/^timestamp/, (b) => forged('timestamp', b, [stranger], {})),
    ],
    ['timestamp: older', 'TRUST_TIMESTAMP_ROLLBACK', 'current', () => only(/^timestamp/, () => old.get('timestamp.json'))],
    ['timestamp: held back', 'TRUST_TIMESTAMP_MISSING', 'fresh', () => only(/^timestamp/, () => undefined)],
    ['timestamp: not JSON', 'TRUST_TIMESTAMP_FORMAT', 'fresh', () => only(/^timestamp/, () => Buffer.from('[]'))],
    [
      'timestamp: no date, signed by the right key',
      'TRUST_METADATA_DATE',
      'fresh',
      () => only(/^timestamp/, (b) => invalid(b, { expires: '2026-13-45T00:00:00Z' })),
    ],
    [
      'timestamp: a day that does not exist',
      'TRUST_METADATA_DATE',
      'fresh',
      () => only(/^timestamp/, (b) => invalid(b, { expires: '2999-02-30T00:00:00Z' })),
    ],
    [
      'timestamp: expired',
      'TRUST_METADATA_EXPIRED',
      'fresh',
      () => only(/^timestamp/, (b) => forged('timestamp', b, [world.keys.timestamp], { expires: '2020-01-01T00:00:00Z' })),
    ],
    ['snapshot: bit flipped', 'TRUST_SNAPSHOT_HASH', 'fresh', () => only(/snapshot/, flipped)],
    ['snapshot: an older one', 'TRUST_SNAPSHOT_HASH', 'fresh', () => only(/snapshot/, () => old.get('2.snapshot.json'))],
    ['snapshot: held back', 'TRUST_SNAPSHOT_MISSING', 'fresh', () => only(/snapshot/, () => undefined)],
    ['targets: bit flipped', 'TRUST_TARGETS_HASH', 'fresh', () => only(/\.targets\.json/, flipped)],
    ['targets: held back', 'TRUST_TARGETS_MISSING', 'fresh', () => only(/\.targets\.json/, () => undefined)],
    ['director file: changed', 'TRUST_DIRECTOR_HASH', 'fresh', () => only(/director/, (b) => Buffer.concat([b, Buffer.from(' ')]))],
    ['director file: held back', 'TRUST_DIRECTOR_MISSING', 'fresh', () => only(/director/, () => undefined)],
  ];
  it.each(table)('%s: %s (device %s)', async (name, code, at, change) => {
    const device = await standing(at);
    const before = await device.client.versions();
    deliver(device.mirror, published(world), change());
    await expect(device.client.refresh()).rejects.toMatchObject({ code });
    // What the file at fault would have replaced is as it was; what was verified before it is kept (tuf-conformance.test.ts).
    const after = await device.client.versions();
    const unchanged = (['root', 'timestamp', 'snapshot'] as const).filter((kind) => name.startsWith(kind));
    for (const kind of unchanged) expect(after[kind]).toBe(before[kind]);
    await refresh(world, device);
    expect(await device.client.target(VAD_2.path)).toEqual(VAD_2);
  });

  /** What somebody can publish who holds the hub's snapshot and timestamp keys, and nothing of the publisher's (R1). */
  function captured(changes: {
    role?: Uint8Array;
    snapshot?: (meta: JsonObject) => JsonObject;
    snapshotKey?: SigningKey;
    snapshotVersion?: number;
  }): Change {
    const now = published(world);
    const snapshotName = `${now.versions.snapshot}.snapshot.json`;
    const signed = parseMetadata('snapshot', now.files.get(snapshotName) ?? new Uint8Array()).metadata.signed.toJSON();
    const meta: JsonObject = { ...(signed['meta'] as JsonObject) };
    if (changes.role !== undefined)
      meta[`${MODEL}.json`] = { version: 2, length: changes.role.byteLength, hashes: { sha256: sha256Hex(changes.role) } };
    const version = changes.snapshotVersion ?? now.versions.snapshot;
    const snapshot = signMetadata('snapshot', { ...signed, version, meta: changes.snapshot?.(meta) ?? meta }, [
      changes.snapshotKey ?? world.keys.snapshot,
    ]);
    const named = { ...metaFileOf(snapshot), version: now.versions.snapshot };
    return (name, bytes) => {
      if (name === snapshotName) return snapshot.bytes;
      if (name === `2.${MODEL}.json` && changes.role !== undefined) return changes.role;
      if (name !== 'timestamp.json') return bytes;
      return forged('timestamp', bytes, [world.keys.timestamp], { version: 99, expires: later, meta: { 'snapshot.json': named } });
    };
  }

  const published3 = (): Uint8Array => published(world).files.get(`2.${MODEL}.json`) ?? new Uint8Array();
  it.each([
    ['a bit flipped', 'TRUST_TARGETS_HASH', () => only(/\.acme_vad\.json/, flipped)],
    ['an older one', 'TRUST_TARGETS_HASH', () => only(/\.acme_vad\.json/, () => old.get('1.acme_vad.json'))],
    ['held back', 'TRUST_TARGETS_MISSING', () => only(/\.acme_vad\.json/, () => undefined)],
    ['its own', 'TRUST_TARGETS_SIGNATURE', () => captured({ role: forged('targets', published3(), [stranger], {}, MODEL) })],
    ['another version', 'TRUST_TARGETS_ROLLBACK', () => captured({ role: old.get(`1.${MODEL}.json`) ?? new Uint8Array() })],
    ['no date', 'TRUST_METADATA_DATE', () => captured({ role: invalid(published3(), { expires: '' }) })],
    ['left out of the snapshot', 'TRUST_TARGETS_MISSING', () => captured({ snapshot: ({ [`${MODEL}.json`]: _left, ...rest }) => rest })],
  ] as const)('the file of a publisher is wrong (%s): its targets alone are refused with %s', async (_name, code, change) => {
    const device = await standing('fresh');
    deliver(device.mirror, published(world), change());
    expect(await device.client.refresh()).toMatchObject({ root: 2 });
    expect(await device.client.unavailable()).toMatchObject([{ role: MODEL, error: { code } }]);
    await expect(device.client.target(VAD_2.path)).rejects.toMatchObject({ code });
    expect(await device.client.directorKeys()).toHaveLength(1);
  });

  const capturedTable: readonly [string, string, 'fresh' | 'current', () => Change][] = [
    ['a snapshot by a stranger', 'TRUST_SNAPSHOT_SIGNATURE', 'fresh', () => captured({ snapshotKey: stranger })],
    ['a snapshot of another version', 'TRUST_SNAPSHOT_ROLLBACK', 'fresh', () => captured({ snapshotVersion: 77 })],
  ];
  it.each(capturedTable)('a captured hub publishes %s: %s', async (_name, code, at, change) => {
    const device = await standing(at);
    deliver(device.mirror, published(world), change());
    await expect(device.client.refresh()).rejects.toMatchObject({ code });
  });

  it('a captured hub takes a publisher file back to an older version: TRUST_SNAPSHOT_ROLLBACK', async () => {
    const device = await standing('current');
    const now = published(world);
    const before = old.get(`1.${MODEL}.json`) ?? new Uint8Array();
    const previous = parseMetadata('snapshot', now.files.get(`${now.versions.snapshot}.snapshot.json`) ?? new Uint8Array());
    const signed = previous.metadata.signed.toJSON();
    const meta = { ...(signed['meta'] as JsonObject), [`${MODEL}.json`]: metaFileOf(parseMetadata('targets', before, MODEL)) };
    const snapshot = signMetadata('snapshot', { ...signed, version: 50, meta }, [world.keys.snapshot]);
    const files = new Map(now.files).set('50.snapshot.json', snapshot.bytes).set(`1.${MODEL}.json`, before);
    const timestamp = forged('timestamp', files.get('timestamp.json') ?? before, [world.keys.timestamp], {
      version: 99,
      meta: { 'snapshot.json': metaFileOf(snapshot) },
    });
    deliver(device.mirror, { ...now, files: files.set('timestamp.json', timestamp) });
    await expect(device.client.refresh()).rejects.toMatchObject({ code: 'TRUST_SNAPSHOT_ROLLBACK' });
  });

  it('a frozen hub stops updates once its timestamp expires, also for a device whose clock is set back', async () => {
    const frozen = await makeTrustWorld();
    const device = await makeDevice(frozen);
    await refresh(frozen, device);
    frozen.clock.shift = days(2);
    await expect(refresh(frozen, device)).rejects.toMatchObject({ code: 'TRUST_METADATA_EXPIRED' });
    await frozen.hub.resign();
    await refresh(frozen, device);
    const stale = published(frozen);
    frozen.clock.shift = days(4);
    await frozen.hub.resign();
    await refresh(frozen, device);
    // Back to a day on which everything old was valid: the signed time of the newest timestamp still counts.
    frozen.clock.shift = 0;
    deliver(device.mirror, stale);
    await expect(device.client.refresh()).rejects.toMatchObject({ code: 'TRUST_TIMESTAMP_ROLLBACK' });
    expect(await device.client.signedTime()).toBeGreaterThan(frozen.clock.now() + days(3));
  });
});

describe('TrustMirror', () => {
  it('is consistent between the files of a change and its index', async () => {
    const world = await makeTrustWorld();
    const device = await makeDevice(world);
    await refresh(world, device);
    await publishVersion(world, VAD_1);
    for (const [name, bytes] of published(world).files) {
      device.mirror.put(name, bytes);
      await device.client.refresh();
    }
    expect(await device.client.target(VAD_1.path)).toEqual(VAD_1);
  });

  it('refuses names, indexes and sizes that cannot be', async () => {
    const { mirror } = await makeDevice(await makeTrustWorld());
    expect(() => mirror.put('../x.json', Buffer.from('{}'))).toThrow(expect.objectContaining({ code: 'INPUT_SCHEMA' }));
    expect(() => mirror.put(TRUST_INDEX_FILE, Buffer.from('{"files":["../x"]}'))).toThrow(
      expect.objectContaining({ code: 'INPUT_SCHEMA' }),
    );
    expect(() => mirror.put('1.root.json', new Uint8Array(5_000_000))).toThrow(expect.objectContaining({ code: 'INPUT_TOO_LARGE' }));
  });

  it('waits for what the index lists, in whatever order it comes', async () => {
    const { mirror } = await makeDevice(await makeTrustWorld());
    const complete = mirror.complete(10_000);
    mirror.put('b.json', Buffer.from('1'));
    mirror.put(TRUST_INDEX_FILE, Buffer.from('{"files":["a.json","b.json"]}'));
    expect((await mirror.complete(1)).missing).toMatchObject({ code: 'TRUST_MIRROR_INCOMPLETE', details: { missing: ['a.json'] } });
    mirror.put('a.json', Buffer.from('2'));
    expect([...(await complete).files.keys()].sort()).toEqual(['a.json', 'b.json']);
    mirror.put('a.json', new Uint8Array());
    expect((await mirror.complete(1)).missing).toMatchObject({ code: 'TRUST_MIRROR_INCOMPLETE' });
    mirror.clear();
    await expect(mirror.complete(1)).rejects.toMatchObject({ code: 'TRUST_MIRROR_INCOMPLETE' });
  });
});
