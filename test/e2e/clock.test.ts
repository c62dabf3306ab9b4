import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { affineModel } from '../kit/onnx-models.js';
import { PROJECT_ROOT } from '../kit/processes.js';
import { until } from '../kit/until.js';
import type { Device, StartOptions } from './device.js';
import { World } from './world.js';

const DAY = 86_400_000;
const X = [1, 2, 3, 4];

describe('the clock of a device is wrong (DESIGN "Trust")', () => {
  let world: World;
  let device: Device;
  let newest = 1;

  beforeAll(async () => {
    world = await World.start();
    device = await world.enrol('clock');
    await setClock(0);
    await world.publish('m', 1, affineModel({ scale: 2 }), ['--samples', '1']);
    await world.deploy('m@1');
  });
  afterAll(() => world.close());

  beforeEach(async () => {
    await setClock(0);
    await device.start(preloaded());
    await device.installed('m', newest, 'good');
  });

  const file = (): string => path.join(world.folder, 'clock-shift');
  const setClock = (shift: number): Promise<void> => writeFile(file(), `${shift}`);
  const preloaded = (): StartOptions => ({
    env: {
      NODE_OPTIONS: `--import=${pathToFileURL(path.join(PROJECT_ROOT, 'test/kit/shifted-clock.mjs')).href}`,
      CLOCK_SHIFT_FILE: file(),
    },
  });
  /** Sets the clock of the running agent. */
  const turnClock = async (shift: number): Promise<void> => {
    await setClock(shift);
    process.kill(device.process.pid, 'SIGUSR2');
    const wanted = Date.now() + shift;
    await until(
      'the agent to have the new time',
      async () => Math.abs(Date.parse((await device.status()).reported.at) - wanted) < DAY / 24,
    );
  };
  const offerNext = async (): Promise<void> => {
    newest += 1;
    await world.publish('m', newest, affineModel({ scale: newest + 1 }), ['--samples', '1']);
    await world.deploy(`m@${newest}`);
  };

  it('set forward while it runs: it says so, takes no update, predicts on, and recovers', async () => {
    const old = await device.answered('m', X);
    await turnClock(40 * DAY);
    await offerNext();
    await until('updates to be stopped', async () => (await device.status()).reported.trust.error?.code === 'TRUST_METADATA_EXPIRED');
    expect((await device.status()).reported.clock).toMatchObject({ trusted: false, reason: expect.stringContaining('ahead') as unknown });
    await world.heard('device=clock&kind=clock.untrusted');
    expect(await device.predict('m', X)).toEqual(old);

    await turnClock(0);
    device.cable.cut();
    device.cable.join();
    await device.installed('m', newest, 'good');
    expect((await device.status()).reported.clock).toMatchObject({ trusted: true });
    await device.kill();
  });

  it('set forward at the start: it serves from the disk, takes no update, and recovers', async () => {
    const old = await device.answered('m', X);
    await device.stop();
    await setClock(40 * DAY);
    await device.start(preloaded());
    await offerNext();
    expect(await device.answered('m', X)).toEqual(old);
    await until('updates to be stopped', async () => (await device.status()).reported.trust.error?.code === 'TRUST_METADATA_EXPIRED');
    expect(await device.predict('m', X)).toEqual(old);

    await turnClock(0);
    device.cable.cut();
    device.cable.join();
    await device.installed('m', newest, 'good');
    await device.kill();
  });

  it('set back at the start: it says so, judges by the freshest signed time, and goes on taking updates', async () => {
    await device.stop();
    await setClock(-400 * DAY);
    await device.start(preloaded());
    await offerNext();
    await device.installed('m', newest, 'good');
    expect((await device.status()).reported.clock).toMatchObject({ trusted: false, reason: expect.stringContaining('behind') as unknown });
    await device.kill();
  });
});
