import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { PowerCutFs } from '../../kit/power-cut-fs.js';
import { deliver, makeDevice, makeTrustWorld, published, publishVersion, refresh, versionTarget } from '../../kit/trust-world.js';

const VAD_1 = versionTarget('vad', 1, 'one');

describe('a power cut while new metadata is put in force', () => {
  it('leaves the old or the new state at every file operation, and the next refresh finishes', async () => {
    const world = await makeTrustWorld();
    const first = published(world);
    await publishVersion(world, VAD_1);
    const second = published(world);
    const seen = new Set<number>();
    let cutAt = 0;
    for (let finished = false; !finished; cutAt += 1) {
      const power = new PowerCutFs();
      const device = await makeDevice(world, { fs: power.fs });
      deliver(device.mirror, first);
      await device.client.refresh();
      deliver(device.mirror, second);
      power.cutAt = power.calls + cutAt;
      finished = await device.client.refresh().then(
        () => true,
        () => false,
      );
      const after = await makeDevice(world, { folder: device.folder, pin: false });
      const { timestamp } = await after.client.versions();
      expect([1, 2]).toContain(timestamp);
      expect(await after.client.target(VAD_1.path)).toEqual(timestamp === 2 ? VAD_1 : undefined);
      seen.add(timestamp);
      await refresh(world, after);
      expect(await after.client.target(VAD_1.path)).toEqual(VAD_1);
      await world.hub.resign();
      await refresh(world, after);
      expect((await readdir(device.folder)).filter((name) => name.startsWith('work-'))).toEqual([]);
    }
    expect(seen).toEqual(new Set([1, 2]));
    expect(cutAt).toBeGreaterThan(20);
  });

  it('while pinning leaves a device that can be pinned again', async () => {
    const world = await makeTrustWorld();
    let cutAt = 0;
    for (let finished = false; !finished; cutAt += 1) {
      const power = new PowerCutFs();
      power.cutAt = cutAt;
      const device = await makeDevice(world, { fs: power.fs, pin: false });
      finished = await device.client.pin(world.hub.root().bytes).then(
        () => true,
        () => false,
      );
      const after = await makeDevice(world, { folder: device.folder });
      expect(await after.client.versions()).toMatchObject({ root: 1 });
    }
    expect(cutAt).toBeGreaterThan(10);
  });
});
