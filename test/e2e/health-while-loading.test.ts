import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loopModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { World } from './world.js';

const X = [1, 2, 3, 4];
/** More than a second of computing, in which a thread does nothing else. */
const ITERATIONS = 1_500_000;

describe('health while a model keeps its thread busy (R5)', () => {
  let world: World;
  let device: Device;

  beforeAll(async () => {
    world = await World.start();
    device = await world.enrol('busy');
    await device.start();
    await device.online();
    await world.publish('slow', 1, loopModel({ iterations: ITERATIONS }), ['--samples', '1']);
  });
  afterAll(() => world.close());

  it('is answered while the model loads, checks itself and warms up', async () => {
    await world.deploy('slow@1');
    await until('the model to be on its way', async () => (await device.version('slow', 1))?.servable !== undefined);
    const { median, work, took } = await healthDuring(device, async () => {
      const states = new Set<string | undefined>();
      await until('the model to be ready', async () => {
        states.add((await device.version('slow', 1))?.servable);
        return states.has('available');
      });
      return states;
    });
    expect([...work].some((state) => state === 'loading' || state === 'warming')).toBe(true);
    expectBeside(median, took);
  });

  it('is answered while it runs', async () => {
    await device.answeredBy('slow', 1, X);
    const { median, work, took } = await healthDuring(device, () => device.predict('slow', X));
    expect(work).toMatchObject({ status: 200, y: X });
    expectBeside(median, took);
  });
});

/** The work took many times as long as the answers beside it, however busy the machine: they did not wait for it. */
function expectBeside(median: number, took: number): void {
  expect(took).toBeGreaterThan(10 * median);
}

/** Asks for the device's health, one question after the other, as long as the work goes on; milliseconds. */
async function healthDuring<T>(
  device: Device,
  work: () => Promise<T>,
): Promise<{ readonly median: number; readonly took: number; readonly work: T }> {
  const ended = new AbortController();
  const began = performance.now();
  const done = work().finally(() => ended.abort());
  const times: number[] = [];
  while (!ended.signal.aborted) {
    const asked = performance.now();
    const response = await fetch(`${device.url}/v2/health/live`);
    await response.arrayBuffer();
    expect(response.status).toBe(200);
    if (!ended.signal.aborted) times.push(performance.now() - asked);
  }
  const result = await done;
  const sorted = times.toSorted((a, b) => a - b);
  return { median: sorted[sorted.length >> 1] ?? Number.POSITIVE_INFINITY, took: performance.now() - began, work: result };
}
