import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestBroker } from '../kit/broker.js';
import { affineModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { countedBy, expectCounted, inOutbox, predict, X } from './counting.js';
import { World } from './world.js';

describe('predictions are counted exactly once (R3)', () => {
  let broker: TestBroker;
  let world: World;
  /** Topics the broker loses at the moment. */
  let lost: RegExp | undefined;

  beforeAll(async () => {
    broker = await TestBroker.start();
    broker.alter = (topic, payload) => (lost?.test(topic) === true ? undefined : payload);
    world = await World.start({ hubArgs: ['--mqtt-url', broker.url] });
    await world.publish('m', 1, affineModel(), ['--samples', '1']);
    await world.deploy('m@1');
  });
  afterAll(async () => {
    await world.close();
    await broker.kill();
  });

  const joined = async (name: string, args: readonly string[] = []): Promise<Device> => {
    const device = await world.enrol(name);
    await device.start({ args });
    await device.installed('m', 1, 'good');
    return device;
  };

  it('when the hub is killed between its commit and its acknowledgement', async () => {
    const device = await joined('reports-1');
    device.cable.cut();
    await predict(device, 40);
    await until('the windows to close', async () => (await inOutbox(device)) === 40);
    lost = /\/ack$/;
    device.cable.join();
    await until('the hub to have committed', async () => (await countedBy(world, device)) === 40);
    await world.killHub();
    expect(await inOutbox(device)).toBe(40);

    lost = undefined;
    await predict(device, 10);
    await world.fleet.startHub();
    await expectCounted(world, device, 50);
    await device.stop();
  });

  it('when the agent is killed with records sent and not acknowledged', async () => {
    const device = await joined('reports-2');
    lost = /\/ack$/;
    await predict(device, 30);
    await until('the hub to have committed', async () => (await countedBy(world, device)) === 30);
    await device.kill();
    lost = undefined;
    await device.start();
    await device.answered('m', X);
    await expectCounted(world, device, 31);
    await device.stop();
  });

  it('when the broker loses everything, in mid-report and for good', async () => {
    const device = await joined('reports-3');
    for (let round = 0; round < 3; round += 1) {
      lost = round === 1 ? /\/telemetry$/ : undefined;
      await predict(device, 10);
      await broker.restart();
    }
    lost = undefined;
    await predict(device, 5);
    await expectCounted(world, device, 35);
    await device.stop();
  });
});
