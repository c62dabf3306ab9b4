import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affineModel } from '../kit/onnx-models.js';
import type { Device } from './device.js';
import { answers, type Load, underLoad } from './load.js';
import { expectChain, passing, reports, Rollout, startServing } from './rollouts.js';
import { Told } from './told.js';
import type { World } from './world.js';

const WAVES = [0, 1, 2, 3];
/** First wave, half, all but the one kept for comparison, that one. */
const SIZES = [1, 2, 1, 1];

describe('a good version under a steady stream of requests', () => {
  let world: World;
  let devices: Device[];
  let told: readonly Told[];

  beforeAll(async () => {
    const versions = [affineModel({ scale: 2 }), affineModel({ scale: 3 })];
    ({ world, devices, told } = await startServing('good', 5, versions));
  });
  afterAll(() => world.close());

  it('goes through every wave to every device, told once, and no request fails', async () => {
    const input = (number: number): readonly number[] => [number % 7, 1, 2, 3];
    await underLoad(devices, { model: 'm', input }, async (loads) => {
      await answers(loads, 1, 200);
      const rollout = await Rollout.create(world, DOCUMENT);
      await rollout.reach('completed');
      await answers(loads, 2, 20);

      expect(await expectChain(rollout)).toEqual(WAVES.flatMap((wave) => passing(wave, wave === 3)));
      expect((await rollout.detail()).waveViews.map(({ counts }) => counts.installed)).toEqual(SIZES);
      for (const { results } of (await rollout.decisions()).filter(({ event }) => event === 'wave-passed'))
        expect(results.map(({ gate, outcome }) => `${gate} ${outcome}`)).toEqual(['install pass', 'errors pass', 'latency pass']);
      const rows = await rollout.rows();
      expect(rows.map(({ status, previous }) => ({ status, previous }))).toEqual(devices.map(() => ({ status: 'installed', previous: 1 })));
      await expectInOrder(rollout, loads);
      for (const load of loads) expect((await load.stop()).failed).toEqual(new Map());

      expect(told.map((heard) => heard.versions('m'))).toEqual(devices.map(() => [1, 2]));
      for (const device of devices) {
        const { reported, desired } = await reports(world, device, 'm', 2, 'good');
        expect(reported?.models).toMatchObject([{ model: 'm', serving: 2 }]);
        expect(desired.models).toMatchObject([{ model: 'm', version: 2 }]);
      }
    });
  });

  it('stands: a device that joins later is told of the new version, and never of the old one', async () => {
    const late = await world.enrol('late', { labels: { group: 'good' } });
    const heard = new Told(late);
    await late.start();
    await reports(world, late, 'm', 2, 'good');
    expect(heard.versions('m')).toEqual([2]);
  });

  /** No device answered with the new version before its wave began; the decisions say when that was. */
  async function expectInOrder(rollout: Rollout, loads: readonly Load[]): Promise<void> {
    const began = (await rollout.decisions()).filter(({ event }) => event === 'begin-wave').map(({ at }) => Date.parse(at));
    for (const { device, wave } of await rollout.rows()) {
      const load = loads.find((candidate) => candidate.device.name === device);
      expect(load?.answered.byVersion.get(2)?.first).toBeGreaterThan(began[wave ?? -1] ?? Number.POSITIVE_INFINITY);
    }
  }
});

const DOCUMENT = {
  model: 'm',
  version: 2,
  cohort: '',
  waves: [{ count: 1 }, '50%', '100%'],
  reserve: '20%',
  bake: '2s',
  evidence: { predictions: 200, devices: 1 },
  // The machine is shared: what the tests next door do to the latency of one device must not stop anything here.
  gates: [{ gate: 'install' }, { gate: 'errors', negligible: 0.05 }, { gate: 'latency', quantile: 0.5, tolerate: 10, ruleOut: 20 }],
};
