import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affineModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { answers, underLoad } from './load.js';
import { expectChain, reports, Rollout, startServing } from './rollouts.js';
import type { Told } from './told.js';
import type { World } from './world.js';

const input = (): readonly number[] => [1, 2, 3, 4];
/** One device at a time, so that one that cannot be reached holds its wave up. */
const DOCUMENT = { model: 'm', cohort: '', maxInFlight: 1, bake: '1s', gates: [{ gate: 'install' }] };

describe('somebody steps in while a wave is under way', () => {
  let world: World;
  let devices: Device[];
  let told: readonly Told[];

  beforeAll(async () => {
    const versions = [1, 2, 3].map((scale) => affineModel({ scale }));
    ({ world, devices, told } = await startServing('steps', 4, versions));
  });
  afterAll(() => world.close());

  /** A draft, and the devices in the order in which it will tell them. */
  async function draft(document: object): Promise<{ readonly rollout: Rollout; readonly order: readonly Told[] }> {
    const rollout = await Rollout.create(world, { ...DOCUMENT, ...document }, ['--draft']);
    for (const heard of told) heard.mark();
    const rows = await rollout.rows();
    const order = rows.flatMap((row) => told.filter(({ device }) => device.name === row.device));
    return { rollout, order };
  }

  async function status(rollout: Rollout, { device }: Told): Promise<string | undefined> {
    return (await rollout.rows()).find((row) => row.device === device.name)?.status;
  }

  it('pauses: who was told goes on, nobody else is told, until it is resumed', async () => {
    await underLoad(devices, { model: 'm', input }, async (loads) => {
      const { rollout, order } = await draft({ version: 2, waves: ['100%'] });
      const [first, ...others] = order as [Told, ...Told[]];
      first.device.cable.cut();
      await rollout.act('start');
      await rollout.until('the first to be told', async () => (await status(rollout, first)) === 'told');
      await rollout.act('pause', 'somebody is looking at it');
      first.device.cable.join();
      await rollout.until('the first to have it', async () => (await status(rollout, first)) === 'installed');
      await reports(world, first.device, 'm', 2, 'good');
      const { state, outlook } = await rollout.detail();
      expect(state).toBe('paused');
      await rollout.until('another look', ({ outlook: later }) => later?.at !== outlook?.at);
      expect(others.map((heard) => heard.versions('m'))).toEqual(others.map(() => []));

      await rollout.act('resume');
      await rollout.reach('completed');
      expect(await expectChain(rollout)).toEqual(
        ['start', 'begin-wave', 'pause', 'resume', 'all-decided', 'baked', 'finished'].map((event) => `0 ${event}`),
      );
      const [, , pause] = await rollout.decisions();
      expect(pause).toMatchObject({ reason: 'somebody is looking at it', actor: { role: 'admin', source: '127.0.0.1' } });
      for (const device of devices) await reports(world, device, 'm', 2, 'good');
      expect(told.map((heard) => heard.versions('m'))).toEqual(told.map(() => [2]));
      await answers(loads, 2, 10);
      for (const load of loads) expect((await load.stop()).failed).toEqual(new Map());
    });
  });

  it('aborts: who has it keeps it, who was on the way goes back, the others never hear of it; then takes it back', async () => {
    await underLoad(devices, { model: 'm', input }, async (loads) => {
      const { rollout, order } = await draft({ version: 3, waves: [{ count: 2 }, '100%'] });
      const [first, second, ...others] = order as [Told, Told, ...Told[]];
      second.device.cable.cut();
      await rollout.act('start');
      await rollout.until('the second to be told', async () => (await status(rollout, second)) === 'told');
      await rollout.act('abort');
      await rollout.until('the second to be told otherwise', async () => (await status(rollout, second)) === 'reverting');
      expect((await rollout.detail()).state).toBe('rolling-back');
      second.device.cable.join();
      await rollout.reach('aborted');
      expect(await expectChain(rollout)).toEqual(['0 start', '0 begin-wave', '0 abort', '0 reverted']);

      await reports(world, first.device, 'm', 3, 'good');
      await reports(world, second.device, 'm', 2, 'good');
      expect(await second.device.version('m', 3)).toBeUndefined();
      expect(second.versions('m')).toEqual([2]);
      expect([...others, first].map((heard) => heard.versions('m'))).toEqual([...others.map(() => []), [3]]);

      await rollout.act('rollback');
      await until('the first to go back', async () => (await first.device.serving('m')) === 2);
      await rollout.reach('rolled-back');
      expect(first.versions('m')).toEqual([3, 2]);
      for (const load of loads) expect((await load.stop()).failed).toEqual(new Map());
    });
  });
});
