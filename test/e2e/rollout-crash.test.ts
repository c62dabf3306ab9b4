import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crashMissing, crashModel, negateModel } from './crash-model.js';
import type { Device } from './device.js';
import { answers, type Load, underLoad } from './load.js';
import { enrolDevices, expectChain, expectTakenBack, QUICK_HUB, Rollout, settle } from './rollouts.js';
import { Told } from './told.js';
import { until } from '../kit/until.js';
import { World } from './world.js';

const probe = mkdtempSync(path.join(os.tmpdir(), 'skerry-probe-'));
const missing = await crashMissing(probe);
rmSync(probe, { recursive: true });

const HARMLESS = [1, 2, 3, 4];
/** A request that the new version does not survive. No two are alike: the same inputs would be refused after the first crash. */
const deadly = (number: number): readonly number[] => [number, 7, 3, 4];
const AS = { datatype: 'INT64' };

describe.skipIf(missing !== undefined)(
  `a version that takes the process down, under a steady stream of requests${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let world: World;
    let devices: Device[];
    let told: readonly Told[];

    beforeAll(async () => {
      world = await World.start({ hubArgs: QUICK_HUB });
      const golden = path.join(world.folder, 'golden.json');
      await writeFile(golden, JSON.stringify({ inputs: { x: { shape: [1, 4], data: [1, 2, 3, 4] } } }));
      await world.publish('m', 1, negateModel(), ['--golden', golden]);
      await world.publish('m', 2, crashModel(), ['--golden', golden]);
      devices = await enrolDevices(world, 'crash', 4);
      told = devices.map((device) => new Told(device));
      await Promise.all(devices.map((device) => device.start({ args: ['--isolation', 'process'] })));
      await settle(world, devices, 'm', 1);
    });
    afterAll(() => world.close());

    /** Rolls version 2 out until the hub takes it back. `once` runs when the rollout is under way. The result is the reason of the decision. */
    async function takenBack(options: {
      readonly document: object;
      readonly exposed: number;
      readonly input: (number: number) => readonly number[];
      readonly once?: () => Promise<void>;
    }): Promise<string> {
      const { document, exposed, input, once } = options;
      return underLoad(devices, { model: 'm', input, as: AS, everyMs: 5 }, async (loads) => {
        await answers(loads, 1, 100);
        for (const heard of told) heard.mark();
        const rollout = await Rollout.create(world, { model: 'm', version: 2, cohort: '', ...document });
        await once?.();
        await rollout.reach('rolled-back');
        expect((await expectChain(rollout)).filter((event) => event !== '0 all-decided' && event !== '0 baked')).toEqual([
          '0 begin-wave',
          '0 gate-failed-rollback',
          '0 reverted',
        ]);
        const had = await expectTakenBack({ world, told, rollout, model: 'm', from: 2, to: 1, as: AS });
        expect(had).toHaveLength(exposed);
        await expectServing(loads);
        // The crashes were those of the model's processes: every agent is the one that was started.
        expect(devices.filter((device) => !device.process.alive)).toEqual([]);
        const [stop] = (await rollout.decisions()).filter(({ event }) => event === 'gate-failed-rollback');
        return stop?.reason ?? '';
      });
    }

    /** The old version answers everywhere, the requests that crashed the new one included. */
    async function expectServing(loads: readonly Load[]): Promise<void> {
      const before = loads.map((load) => load.by(1));
      for (const [index, load] of loads.entries()) await answers([load], 1, (before[index] ?? 0) + 100);
    }

    it('is taken back by the hub while each device tolerates the one crash it saw', async () => {
      const document = {
        waves: [{ count: 3 }, '100%'],
        bake: '10m',
        gates: [{ gate: 'install' }, { gate: 'limit', of: 'crashes', atMost: 1 }],
      };
      const once = async (): Promise<void> => {
        const exposed = await until('three devices to serve version 2', async () => {
          const answered = await Promise.all(devices.map((device) => device.predict('m', HARMLESS, AS)));
          const on = devices.filter((_, index) => answered[index]?.version === 2);
          return on.length === 3 && on;
        });
        for (const device of exposed) {
          expect(await device.predict('m', deadly(1), AS)).toMatchObject({ status: 500, code: 'INFERENCE_CRASHED' });
        }
      };
      expect(await takenBack({ document, exposed: 3, input: () => HARMLESS, once })).toMatch(/crashes/);
    });

    it('is given up by the devices themselves, whose other requests go on being answered', async () => {
      const document = { waves: [{ count: 1 }, '100%'], bake: '10m', gates: [{ gate: 'install' }] };
      const input = (number: number): readonly number[] => (number % 50 === 49 ? deadly(number) : HARMLESS);
      expect(await takenBack({ document, exposed: 1, input })).toMatch(/^install: 1 of 1 devices rolled back on their own/);
      await world.heard('kind=version.crashed');
    });
  },
);
