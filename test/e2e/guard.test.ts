import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affineModel, loopModel, partlyWrongModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { World } from './world.js';

/** One part in two of the requests a version gets. */
const FINE = [0, 0.25, 0.5, 0.75];
const HARD = [2, 2, 2, 2];

describe('a device whose hub is away takes a bad version back itself', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start();
  });
  afterAll(() => world.close());

  /** A device with a good version 1 it has answered 200 requests with, that then gets `bytes` as version 2 and loses its hub. */
  async function onTrial(model: string, bytes: Uint8Array): Promise<Device> {
    await world.publish(model, 1, affineModel(), ['--samples', '1']);
    await world.publish(model, 2, bytes, ['--samples', '1']);
    const device = await world.enrol(model, { labels: { tries: model } });
    await world.deploy(`${model}@1`, `tries=${model}`);
    await device.start();
    await device.installed(model, 1, 'good');
    await device.stop();
    await device.start({ args: ['--bake', '10m'] });
    await device.answeredBy(model, 1, FINE);
    for (let i = 0; i < 200; i++) await device.predict(model, i % 2 === 0 ? FINE : HARD);
    await world.deploy(`${model}@2`, `tries=${model}`);
    await device.answeredBy(model, 2, FINE);
    device.cable.cut();
    return device;
  }

  /** Requests go on until version 1 answers again; then the hub is back and hears why. */
  async function expectBack(device: Device, model: string, code: string): Promise<void> {
    await until(
      'version 1 to answer again',
      async () => {
        const { version } = await device.predict(model, HARD);
        return version === 1 || (await device.predict(model, FINE)).version === 1;
      },
      { deadlineMs: 200_000, everyMs: 1 },
    );
    await device.installed(model, 2, 'bad');
    expect(await device.version(model, 2)).toMatchObject({ error: { code } });
    expect((await device.status()).link.kind).not.toBe('online');
    device.cable.join();
    const told = await until('the hub to hear of it', async () => {
      const events = await world.events(`device=${device.name}&limit=200`);
      return events.find(({ kind }) => kind === 'version.rolled-back');
    });
    expect(told).toMatchObject({ model, version: 1, error: { code }, detail: { from: 2 } });
    await device.online();
    expect((await device.predict(model, FINE)).version).toBe(1);
    await device.stop();
  }

  it('one that gives no numbers for some inputs', async () => {
    const device = await onTrial('wrong', partlyWrongModel());
    await expectBack(device, 'wrong', 'MODELS_GUARD_ERRORS');
  });

  it('one that is slower', async () => {
    const device = await onTrial('slow', loopModel({ iterations: 60_000 }));
    await expectBack(device, 'slow', 'MODELS_GUARD_LATENCY');
  });

  it('one with which the process ends again and again', async () => {
    const device = await onTrial('crash', affineModel({ scale: 3 }));
    for (let i = 0; i < 3; i++) {
      await device.kill();
      // As where nobody can say whose native code ran: what is known to have ended at another moment is forgiven.
      for (const name of await readdir(device.data)) if (name.endsWith('.witness')) await rm(path.join(device.data, name));
      await device.start({ args: ['--bake', '10m'] });
      await device.answered('crash', FINE);
    }
    await expectBack(device, 'crash', 'MODELS_CRASHED');
  });
});
