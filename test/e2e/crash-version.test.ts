import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishForged } from '../kit/forged-version.js';
import { until } from '../kit/until.js';
import { crashMissing, crashModel, negateModel } from './crash-model.js';
import type { Answer, Device } from './device.js';
import { World } from './world.js';

const probe = mkdtempSync(path.join(os.tmpdir(), 'skerry-probe-'));
const missing = await crashMissing(probe);
rmSync(probe, { recursive: true });

const HARMLESS = [1, 2, 3, 4];
const DEADLY = [1, 7, 3, 4];
/** Long enough for a version to stay on probation for the whole test. */
const ARGS = ['--bake', '10m', '--max-boots', '2'];

describe.skipIf(missing !== undefined)(
  `a version that takes the process down${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let world: World;
    let device: Device;
    const golden = (name: string): string => path.join(world.folder, `${name}.json`);

    beforeAll(async () => {
      world = await World.start();
      for (const [name, data] of Object.entries({ harmless: HARMLESS, deadly: DEADLY })) {
        await writeFile(golden(name), JSON.stringify({ inputs: { x: { shape: [1, 4], data } } }));
      }
      device = await world.enrol('crash');
      await world.publish('m', 1, negateModel(), ['--golden', golden('harmless')]);
      await world.deploy('m@1');
      await device.start();
      await device.installed('m', 1, 'good');
      await device.stop();
      await device.start({ args: ARGS });
    });
    afterAll(() => world.close());

    const ask = (x: readonly number[]): Promise<Answer> => device.predict('m', x, { datatype: 'INT64' });
    const answered = (version: number): Promise<Answer> => device.answeredBy('m', version, HARMLESS, { datatype: 'INT64' });
    const installOf = async (version: number): Promise<string | undefined> => (await device.version('m', version))?.install;

    it('is given up after the limit, the last-known-good serves, and nothing but --retry brings it back', async () => {
      await world.publish('m', 2, crashModel(), ['--golden', golden('harmless')]);
      await world.deploy('m@2');
      for (let crash = 0; crash < 2; crash += 1) {
        await answered(2);
        await expect(ask(DEADLY)).rejects.toThrow('fetch failed');
        await device.process.exited;
        await device.start({ args: ARGS });
      }
      expect(await answered(1)).toMatchObject({ y: [-1, -2, -3, -4] });
      expect(await ask(DEADLY)).toMatchObject({ status: 200, version: 1, y: [-1, -7, -3, -4] });
      expect(await device.version('m', 2)).toMatchObject({ install: 'bad', error: { code: 'MODELS_CRASHED' } });
      await until(
        'the hub to hear of it',
        async () => (await world.events('device=crash&kind=version.refused&code=MODELS_CRASHED')).length > 0,
      );

      // Not by another start, not by the same wish again.
      await device.stop();
      await device.start({ args: ARGS });
      await answered(1);
      const again = await world.run(['deploy', 'm@2', '--all', '--wait']);
      expect(again.code).toBe(1);
      expect(await installOf(2)).toBe('bad');
      expect((await ask(HARMLESS)).version).toBe(1);

      expect(await world.run(['deploy', 'm@2', '--all', '--retry', '--wait'])).toMatchObject({ code: 0 });
      expect((await ask(HARMLESS)).version).toBe(2);
    });

    it('is given up too when it does not survive its golden check; what served goes on at every start', async () => {
      await world.deploy('m@1');
      await answered(1);
      await publishForged(world.fleet, {
        model: 'm',
        version: 3,
        shipped: { file: path.join(world.folder, 'm-2.onnx'), golden: golden('harmless') },
        recorded: { file: path.join(world.folder, 'm-1.onnx'), golden: golden('deadly') },
      });
      await world.deploy('m@3');
      let deaths = 0;
      await until('version 3 to be given up', async () => {
        if (!device.process.alive) {
          deaths += 1;
          await device.start({ args: ARGS });
        }
        return (await installOf(3)) === 'bad';
      });
      expect(deaths).toBe(2);
      expect((await device.version('m', 3))?.error?.code).toBe('MODELS_CRASHED');
      expect(await answered(1)).toMatchObject({ y: [-1, -2, -3, -4] });
    });
  },
);
