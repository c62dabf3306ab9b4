import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crashMissing, crashModel, negateModel } from './crash-model.js';
import type { Device } from './device.js';
import { answers, type Load, underLoad } from './load.js';
import { enrolDevices, expectChain, expectTakenBack, QUICK_HUB, Rollout, settle } from './rollouts.js';
import { Supervisor } from './supervisor.js';
import { Told } from './told.js';
import { World } from './world.js';

const probe = mkdtempSync(path.join(os.tmpdir(), 'skerry-probe-'));
const missing = await crashMissing(probe);
rmSync(probe, { recursive: true });

/** One request in fifty is one the new version does not survive. */
const input = (number: number): readonly number[] => (number % 50 === 49 ? [1, 7, 3, 4] : [1, 2, 3, 4]);

describe.skipIf(missing !== undefined)(
  `a version that takes the process down, under a steady stream of requests${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let world: World;
    let devices: Device[];
    let told: readonly Told[];
    const supervisors: Supervisor[] = [];

    beforeAll(async () => {
      world = await World.start({ hubArgs: QUICK_HUB });
      const golden = path.join(world.folder, 'golden.json');
      await writeFile(golden, JSON.stringify({ inputs: { x: { shape: [1, 4], data: [1, 2, 3, 4] } } }));
      await world.publish('m', 1, negateModel(), ['--golden', golden]);
      await world.publish('m', 2, crashModel(), ['--golden', golden]);
      devices = await enrolDevices(world, 'crash', 4);
      told = devices.map((device) => new Told(device));
      await supervise(['--max-boots', '2']);
      await settle(world, devices, 'm', 1);
    });
    afterAll(async () => {
      await Promise.all(supervisors.map((supervisor) => supervisor.stop()));
      await world.close();
    });

    /** From now on every device is started again as often as its process ends, with these settings. */
    async function supervise(args: readonly string[]): Promise<void> {
      await Promise.all(supervisors.splice(0).map((supervisor) => supervisor.stop()));
      supervisors.push(...(await Promise.all(devices.map((device) => Supervisor.start(device, { args })))));
      await Promise.all(devices.map((device) => device.online()));
    }

    async function takenBack(document: object, exposed: number): Promise<string> {
      return underLoad(devices, { model: 'm', input, as: { datatype: 'INT64' }, everyMs: 5 }, async (loads) => {
        await answers(loads, 1, 100);
        for (const heard of told) heard.mark();
        const ends = new Map(supervisors.map(({ device, ends: before }) => [device.name, before]));
        const rollout = await Rollout.create(world, { model: 'm', version: 2, cohort: '', ...document });
        await rollout.reach('rolled-back');
        expect((await expectChain(rollout)).filter((event) => event !== '0 all-decided' && event !== '0 baked')).toEqual([
          '0 begin-wave',
          '0 gate-failed-rollback',
          '0 reverted',
        ]);
        const had = await expectTakenBack({ world, told, rollout, model: 'm', from: 2, to: 1, as: { datatype: 'INT64' } });
        expect(had).toHaveLength(exposed);
        await expectServing(loads);
        for (const { device, ends: after } of supervisors) expect(after > (ends.get(device.name) ?? 0)).toBe(had.includes(device.name));
        const [stop] = (await rollout.decisions()).filter(({ event }) => event === 'gate-failed-rollback');
        return stop?.reason ?? '';
      });
    }

    /** The old version answers everywhere, the requests that ended the new one included. */
    async function expectServing(loads: readonly Load[]): Promise<void> {
      const before = loads.map((load) => load.by(1));
      for (const [index, load] of loads.entries()) await answers([load], 1, (before[index] ?? 0) + 100);
    }

    // Skipped until it sends deadly inputs that differ: the same ones are refused after the first crash (`INFERENCE_CRASHED_BEFORE`), and a
    // version that crashed runs in a process of its own, so the agent does not end again and the rollout sees one crash only.
    it.skipIf(true)('is given up by the devices themselves (skipped: its load repeats one input)', async () => {
      const document = { waves: [{ count: 1 }, '100%'], bake: '10m', gates: [{ gate: 'install' }] };
      expect(await takenBack(document, 1)).toMatch(/^install: 1 of 1 devices took it back by themselves/);
      expect(await world.events('code=MODELS_CRASHED')).not.toHaveLength(0);
    });

    // Skipped for the same reason.
    it.skipIf(true)('is taken back by the hub from devices that would go on trying (skipped: its load repeats one input)', async () => {
      await supervise(['--max-boots', '1000']);
      const document = { waves: [{ count: 2 }, '100%'], bake: '10m', gates: [{ gate: 'install' }, { gate: 'crashes' }] };
      expect(await takenBack(document, 2)).toMatch(/^crashes: crashes per device hour: /);
    });
  },
);
