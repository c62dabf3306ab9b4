import { describe, expect, it } from 'vitest';
import { TufRepository } from '#hub/registry/tuf/repository.js';
import { days } from '#shared/kernel/time.js';
import { generateSigningKey } from '#shared/trust/keys.js';
import { type JsonObject, parseMetadata, signMetadata } from '#shared/trust/metadata.js';
import { MemoryTufStorage } from '../../kit/memory-tuf-storage.js';
import {
  FLEET,
  makeDevice,
  makeTrustWorld,
  published,
  publishVersion,
  refresh,
  versionTarget,
  type TrustWorld,
} from '../../kit/trust-world.js';

/** Puts the hub back to what its storage held then. */
async function restore(world: TrustWorld, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const storage = new MemoryTufStorage();
  for (const [name, bytes] of files) storage.files.set(name, bytes);
  world.hub = await TufRepository.open({ fleet: FLEET, clock: world.clock, keys: world.keys, storage });
}

describe('18 C: the metadata of a hub that was put back to a backup', () => {
  it('is recovered from what a device holds, and the next versions count on from there', async () => {
    const world = await makeTrustWorld();
    await publishVersion(world, versionTarget('m', 1, 'one'));
    const backup = new Map(world.storage.files);
    const device = await makeDevice(world);
    await publishVersion(world, versionTarget('m', 2, 'two'));
    await world.hub.resign();
    await refresh(world, device);
    await restore(world, backup);
    await expect(refresh(world, device)).rejects.toMatchObject({ code: 'TRUST_TIMESTAMP_ROLLBACK' });

    const before = published(world).versions;
    expect(await world.hub.learn(await device.client.files())).toMatch(/acme_m 1 to 2.*snapshot.*timestamp/);
    expect(await world.hub.learn(await device.client.files())).toBeUndefined();
    const versions = await refresh(world, device);
    expect(versions.timestamp).toBeGreaterThan(before.timestamp + 1);
    expect(await device.client.target('models/m/2.json')).toMatchObject({ digest: versionTarget('m', 2, 'two').digest });
    await publishVersion(world, versionTarget('m', 3, 'three'));
    await refresh(world, device);
    expect(await device.client.target('models/m/3.json')).toBeDefined();
  });

  it('takes over nothing that only a device says', async () => {
    const world = await makeTrustWorld();
    const before = published(world).versions;
    const stranger = generateSigningKey();
    const forge = (kind: 'timestamp' | 'snapshot'): Uint8Array => {
      const bytes = published(world).files.get(kind === 'timestamp' ? 'timestamp.json' : `${before.snapshot}.snapshot.json`);
      const signed = parseMetadata(kind, bytes ?? new Uint8Array()).metadata.toJSON()['signed'] as JsonObject;
      return signMetadata(kind, { ...signed, version: 900 }, [stranger]).bytes;
    };
    const files = new Map([
      ['timestamp.json', forge('timestamp')],
      ['snapshot.json', forge('snapshot')],
      ['root.json', new TextEncoder().encode('{}')],
    ]);
    expect(await world.hub.learn(files)).toBeUndefined();
    await world.hub.resign();
    expect(published(world).versions.timestamp).toBe(before.timestamp + 1);
  });
});

describe('18 D: a timestamp dated ahead', () => {
  it('is refused by a device whose clock was confirmed, taken by one without a clock, and made up for by the next right one', async () => {
    const world = await makeTrustWorld();
    const device = await makeDevice(world);
    await refresh(world, device);
    const right = world.clock.now();
    const wary = await makeDevice(world, { latest: () => right + days(1) });
    await refresh(world, wary);

    world.clock.shift = days(25);
    await world.hub.resign();
    world.clock.shift = 0;
    await expect(refresh(world, wary)).rejects.toMatchObject({ code: 'TRUST_SIGNED_IN_FUTURE' });
    await refresh(world, device);
    expect(await device.client.signedTime()).toBeGreaterThan(right + days(24));

    await world.hub.resign();
    for (const each of [wary, device]) await refresh(world, each);
    expect(await device.client.signedTime()).toBeLessThan(right + days(1));
  });
});
