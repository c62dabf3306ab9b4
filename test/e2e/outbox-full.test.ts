import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affineModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import { expectCounted, predict } from './counting.js';
import type { Device } from './device.js';
import { World } from './world.js';

describe('an outbox that is full (R4)', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.start();
    await world.publish('m', 1, affineModel(), ['--samples', '1']);
    await world.deploy('m@1');
  });
  afterAll(() => world.close());

  const joined = async (name: string, args: readonly string[]): Promise<Device> => {
    const device = await world.enrol(name);
    await device.start({ args });
    await device.installed('m', 1, 'good');
    return device;
  };

  it.concurrent('merges windows, and no prediction goes missing', async () => {
    const device = await joined('reports-4', ['--outbox-records', '10']);
    device.cable.cut();
    const outbox = async () => (await device.status()).reported.outbox;
    let made = 0;
    await until('windows to be merged', async () => {
      await predict(device, 1);
      made += 1;
      const { records, coarsened } = await outbox();
      expect(records).toBeLessThanOrEqual(10);
      return coarsened >= 3;
    });
    device.cable.join();
    await expectCounted(world, device, made);
    const { reported } = (await world.fleet.api(`/devices/${device.name}`)) as { reported: { outbox: { coarsened: number } } };
    expect(reported.outbox.coarsened).toBeGreaterThanOrEqual(3);
    await device.stop();
  });

  it.concurrent('drops what cannot be merged: bounded, counted and reported', async () => {
    const device = await joined('reports-5', ['--outbox-bytes', '1K']);
    device.cable.cut();
    const outbox = async () => (await device.status()).reported.outbox;
    await until('records to be dropped', async () => {
      await predict(device, 1);
      const { bytes, dropped } = await outbox();
      expect(bytes).toBeLessThanOrEqual(2_048);
      return dropped >= 1;
    });
    device.cable.join();
    // Told with the next event, so something has to happen.
    await world.publish('m', 2, affineModel({ scale: 3 }), ['--samples', '1']);
    await world.deploy('m@2');
    const told = await world.heard(`device=${device.name}&kind=outbox.dropped`);
    expect(Number(told[0]?.detail?.['records'])).toBeGreaterThan(0);
    await until('the hub to show the figure', async () => {
      const view = (await world.fleet.api(`/devices/${device.name}`)) as { reported: { outbox: { dropped: number } } };
      return view.reported.outbox.dropped > 0;
    });
    await device.stop();
  });
});
