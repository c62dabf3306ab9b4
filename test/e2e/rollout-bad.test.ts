import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affineModel, failsAboveModel, loopModel, partlyWrongModel } from '../kit/onnx-models.js';
import type { Device } from './device.js';
import { answers, underLoad } from './load.js';
import { expectChain, expectTakenBack, Rollout, startServing } from './rollouts.js';
import type { Told } from './told.js';
import type { World } from './world.js';

const FAILS = 2;
const NO_NUMBERS = 3;
const SLOW = 4;

/** One part in four of the requests is one the bad versions fail at. */
const input = (number: number): readonly number[] => (number % 4 === 0 ? [2, 2, 2, 2] : [0, 0.25, 0.5, 0.75]);

describe('a bad version under a steady stream of requests is taken back', () => {
  let world: World;
  let devices: Device[];
  let told: readonly Told[];

  beforeAll(async () => {
    // As FAILS, NO_NUMBERS and SLOW say.
    const versions = [affineModel(), failsAboveModel(), partlyWrongModel(), loopModel({ iterations: 60_000 })];
    ({ world, devices, told } = await startServing('bad', 4, versions));
  });
  afterAll(() => world.close());

  /** Rolls a version out while every device answers requests; resolves with why it was taken back: the decision, and what the one device said that had it. */
  async function takenBack(
    version: number,
    document: object,
  ): Promise<{ readonly reason: string | undefined; readonly said: string | undefined }> {
    return underLoad(devices, { model: 'm', input }, async (loads) => {
      await answers(loads, 1, 200);
      for (const heard of told) heard.mark();
      const rollout = await Rollout.create(world, { model: 'm', version, cohort: '', ...document });
      await rollout.reach('rolled-back');
      const chain = await expectChain(rollout);
      // It may be found out while the wave is still being installed, or bakes.
      const early = ['0 all-decided', '0 baked'];
      expect(chain.filter((event) => !early.includes(event))).toEqual(['0 begin-wave', '0 gate-failed-rollback', '0 reverted']);
      const had = await expectTakenBack({ world, told, rollout, model: 'm', from: version, to: 1 });
      expect(had).toHaveLength(1);
      for (const load of loads) expect(load.by(version) > 0).toBe(had.includes(load.device.name));
      const stop = (await rollout.decisions()).find(({ event }) => event === 'gate-failed-rollback');
      const row = (await rollout.rows()).find(({ device }) => had.includes(device));
      return { reason: stop?.reason, said: row?.error?.code };
    });
  }

  // Found out long before a wave has baked, however few requests a busy machine answers in a minute.
  /** The hub only counts who took it up: the device finds out by itself. */
  const GUARDED = { waves: [{ count: 1 }, '100%'], bake: '10m', gates: [{ gate: 'install' }] };
  /** The devices are told to bear a thousand times as much: the hub compares them with the others. */
  const compared = (gate: object): object => ({
    waves: [{ count: 1 }, '100%'],
    bake: '10m',
    gates: [{ gate: 'install' }, { ruleOut: 1000, ...gate }],
  });

  it('one that fails for some inputs: the device sees it', async () => {
    expect(await takenBack(FAILS, GUARDED)).toEqual({ reason: BY_ITSELF, said: 'MODELS_GUARD_ERRORS' });
    expect(await world.heard('kind=version.rolled-back&code=MODELS_GUARD_ERRORS')).toHaveLength(1);
  });

  it('one that gives no numbers for some inputs: the hub sees it', async () => {
    const reason: unknown = expect.stringMatching(/^errors: failed predictions: /);
    expect(await takenBack(NO_NUMBERS, compared({ gate: 'errors' }))).toEqual({ reason, said: undefined });
  });

  it('one that is slower: the device sees it', async () => {
    expect(await takenBack(SLOW, GUARDED)).toEqual({ reason: BY_ITSELF, said: 'MODELS_GUARD_LATENCY' });
    expect(await world.heard('kind=version.rolled-back&code=MODELS_GUARD_LATENCY')).toHaveLength(1);
  });

  it('one that is slower: the hub sees it', async () => {
    const reason: unknown = expect.stringMatching(/^latency: values above /);
    expect(await takenBack(SLOW, compared({ gate: 'latency', quantile: 0.9 }))).toEqual({ reason, said: undefined });
  });
});

const BY_ITSELF: unknown = expect.stringMatching(/^install: 1 of 1 devices rolled back on their own/);
