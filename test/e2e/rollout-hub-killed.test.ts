import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affineModel, failsAboveModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { answers, underLoad } from './load.js';
import { expectChain, expectTakenBack, passing, reports, Rollout, startServing } from './rollouts.js';
import type { Told } from './told.js';
import type { World } from './world.js';

/** Moments of a wave: each decision when it is written, its wishes when they are written and nobody was told, and a device that was just told. */
const wave = (index: number, last = false): readonly string[] => [
  `decision begin-wave ${index}`,
  `wishes ${index}`,
  'told',
  `decision all-decided ${index}`,
  `decision baked ${index}`,
  `decision ${last ? 'finished' : 'wave-passed'} ${index}`,
];
const FORWARD = [...wave(0), ...wave(1), ...wave(2, true)];
const BACK = ['decision begin-wave 0', 'wishes 0', 'decision gate-failed-rollback 0', 'wishes 0', 'told', 'decision reverted 0'];

const input = (number: number): readonly number[] => (number % 4 === 0 ? [2, 2, 2, 2] : [0, 0.25, 0.5, 0.75]);

describe('kill -9 of the hub at every moment of a rollout', () => {
  let world: World;
  let devices: Device[];
  let told: readonly Told[];

  beforeAll(async () => {
    const versions = [affineModel({ scale: 2 }), affineModel({ scale: 3 }), failsAboveModel()];
    ({ world, devices, told } = await startServing('killed', 4, versions));
  });
  afterAll(() => world.close());

  /** Creates a rollout and kills the hub at each of the moments, one after the other. */
  async function killedAt(moments: readonly string[], document: object): Promise<Rollout> {
    const rollout = await Rollout.create(world, { model: 'm', cohort: '', ...document }, ['--draft']);
    for (const heard of told) heard.mark();
    const [first = '', ...rest] = moments;
    await world.killHub();
    await world.fleet.startHub({ killAt: first });
    // The hub does not live to answer.
    await rollout.act('start').catch(() => undefined);
    await ended(first);
    for (const moment of rest) await (moment === 'told' ? killedOnceTold() : killedAfter(moment));
    await world.fleet.startHub();
    return rollout;
  }

  async function killedAfter(killAt: string): Promise<void> {
    // The end may come before it is ready.
    await world.fleet.startHub({ killAt }).catch(() => undefined);
    await ended(killAt);
  }

  async function ended(moment: string): Promise<void> {
    await until(`the hub to end after "${moment}"`, () => !world.fleet.hubProcess.alive, { deadlineMs: 400_000 });
  }

  /** As soon as a statement that was not there before has passed a cable. */
  async function killedOnceTold(): Promise<void> {
    const before = statements();
    await world.fleet.startHub();
    await until('a device to be told', () => statements() > before, { deadlineMs: 400_000, everyMs: 1 });
    await world.killHub();
  }

  function statements(): number {
    return told.reduce((sum, heard) => sum + heard.versions('m').length, 0);
  }

  it('on its way through the waves: nobody is told twice, nobody is forgotten, and the decisions go on', async () => {
    await underLoad(devices, { model: 'm', input, everyMs: 20 }, async (loads) => {
      const rollout = await killedAt(FORWARD, {
        version: 2,
        waves: [{ count: 1 }, '50%', '100%'],
        bake: '1s',
        maxInFlight: 1,
        evidence: { predictions: 50 },
        gates: [{ gate: 'install' }, { gate: 'limit', of: 'errors', atMost: 0.05, ruleOut: 0.3 }],
      });
      await rollout.reach('completed');
      expect((await expectChain(rollout)).filter((event) => event !== '0 start')).toEqual([
        ...passing(0),
        ...passing(1),
        ...passing(2, true),
      ]);
      for (const device of devices) await reports(world, device, 'm', 2, 'good');
      expect(told.map((heard) => heard.versions('m'))).toEqual(devices.map(() => [2]));
      expect((await rollout.rows()).map(({ status }) => status)).toEqual(devices.map(() => 'installed'));
      await answers(loads, 2, 100);
      for (const load of loads) expect((await load.stop()).failed).toEqual(new Map());
    });
  });

  it('on its way back: whoever had the version goes back, once', async () => {
    await underLoad(devices, { model: 'm', input, everyMs: 20 }, async () => {
      const rollout = await killedAt(BACK, {
        version: 3,
        waves: [{ count: 2 }, '100%'],
        bake: '10m',
        rollback: { maxInFlight: 1 },
        gates: [{ gate: 'install' }, { gate: 'errors', ruleOut: 1000 }],
      });
      await rollout.reach('rolled-back');
      const chain = (await expectChain(rollout)).filter((event) => !['0 start', '0 all-decided', '0 baked'].includes(event));
      expect(chain).toEqual(['0 begin-wave', '0 gate-failed-rollback', '0 reverted']);
      expect(await expectTakenBack({ world, told, rollout, model: 'm', from: 3, to: 2 })).toHaveLength(2);
    });
  });
});
