import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { rm, statfs, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affineModel, writeInflatedModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { World } from './world.js';

const MiB = 1024 * 1024;
const X = [1, 2, 3, 4];
const DISK = mkdtempSync(path.join(os.tmpdir(), 'skerry-disk-'));
const mount = (): boolean => spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', DISK]).status === 0;
const unmount = (): boolean => spawnSync('umount', ['--lazy', DISK]).status === 0;
const missing = mount() && unmount() ? undefined : 'no small disk can be mounted here';
rmdirSync(DISK);

describe.skipIf(missing !== undefined)(`a full disk${missing === undefined ? '' : ` (skipped: ${missing})`} (R4)`, () => {
  let world: World;
  let device: Device;
  const filler = path.join(DISK, 'filler');

  beforeAll(async () => {
    mkdirSync(DISK);
    mount();
    world = await World.start();
    const data = path.join(DISK, 'device');
    mkdirSync(data);
    device = await world.enrol('full', { data });
    await world.publish('m', 1, affineModel(), ['--samples', '1']);
    await world.deploy('m@1');
    await device.start({ args: ['--disk-reserve', '1M'] });
    await device.installed('m', 1, 'good');
    const file = path.join(world.folder, 'large.onnx');
    await writeInflatedModel(file, { megabytes: 20, scale: 5 });
    await world.publish('m', 2, file, ['--samples', '1']);
  });
  afterAll(async () => {
    try {
      await world.close();
    } finally {
      unmount();
      rmdirSync(DISK);
    }
  });

  /** Leaves about so many bytes free. */
  const leave = async (free: number): Promise<void> => {
    await rm(filler, { force: true });
    const { bavail, bsize } = await statfs(DISK);
    await writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - free)));
  };

  it('refuses the update with DISK_FULL, and serves on', async () => {
    await leave(8 * MiB);
    await world.deploy('m@2');
    await until('the device to say so', async () => (await device.version('m', 2))?.error?.code === 'DISK_FULL');
    await world.heard('device=full&kind=disk.full');
    expect(await device.predict('m', X)).toMatchObject({ version: 1, y: [3, 5, 7, 9] });
    expect(await device.serving('m')).toBe(1);
    // It is not the version's fault: it is not given up.
    expect((await device.version('m', 2))?.install).toBe('fetching');
  });

  it('serves after a start with not one byte free (R2)', async () => {
    await device.kill();
    device.cable.cut();
    await leave(0);
    await device.start({ args: ['--disk-reserve', '1M'] });
    expect(await device.answered('m', X)).toMatchObject({ version: 1, y: [3, 5, 7, 9] });
  });

  it('takes the update by itself once there is room', async () => {
    device.cable.join();
    await rm(filler);
    expect(await device.answeredBy('m', 2, X)).toMatchObject({ y: [5, 10, 15, 20] });
  });
});
