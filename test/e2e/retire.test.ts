import { afterAll, beforeAll, expect, it } from 'vitest';
import { affineModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { World } from './world.js';

const X = [1, 2, 3, 4];

let world: World;
let device: Device;
let gone: Device;

beforeAll(async () => {
  world = await World.start();
  for (const version of [1, 2, 3, 4]) await world.publish('m', version, affineModel({ scale: version }), ['--samples', '1']);
  device = await world.enrol('stays');
  gone = await world.enrol('gone');
  for (const one of [device, gone]) await one.start();
  await world.deploy('m@1');
  for (const one of [device, gone]) await one.installed('m', 1, 'good');
});
afterAll(() => world.close());

const refusal = async (versions: string): Promise<string> => {
  const ran = await world.fleet.retire(versions).then(
    () => 'it was taken',
    (cause: unknown) => String(cause),
  );
  return ran;
};

it('a version that something needs is refused by name; one that nothing needs goes, its disk is given back, and its number stays used', async () => {
  expect(await refusal('m@1')).toMatch(/VERSION_IN_USE|is needed/);
  expect(await refusal('m@4')).toMatch(/VERSION_NEWEST|newest/);
  // One device leaves the fleet without hearing of it, and goes on with version 1.
  gone.cable.cut();
  await world.fleet.command(['device', 'remove', 'gone', '--yes']);
  for (const version of [2, 3]) {
    await world.deploy(`m@${version}`);
    await device.installed('m', version, 'good');
  }
  // The deployment of version 1 still stands; the device rolls back to 2 by itself.
  expect(await refusal('m@1..3')).toMatch(/VERSION_IN_USE|is needed/);
  const { deployments } = (await world.fleet.api('/deployments')) as { deployments: { id: number; version: number }[] };
  for (const { id } of deployments.filter(({ version }) => version === 1)) {
    await world.fleet.command(['deployment', 'remove', `${id}`, '--keep', '--yes']);
  }
  await until('the device to say that it rolls back to 2', async () => {
    const { reported } = await device.status();
    return reported.models.find(({ model }) => model === 'm')?.lastKnownGood === 2;
  });
  const before = await world.hubFigure('skerry_hub_artifact_bytes');
  const preview = (await world.fleet.retire('m@1', ['--dry-run'])) as { bytes: number; artifacts: number };
  expect(preview).toMatchObject({ model: 'm', versions: [1], dryRun: true });
  expect(await world.hubFigure('skerry_hub_artifact_bytes')).toBe(before);
  await until('version 1 to be retired', async () => (await refusal('m@1')) === 'it was taken');
  expect(before - (await world.hubFigure('skerry_hub_artifact_bytes'))).toBe(preview.bytes);
  expect(preview.bytes).toBeGreaterThan(0);
  const again = await world.publish('m', 1, affineModel({ scale: 9 }), ['--samples', '1']).then(
    () => 'it was taken',
    (cause: unknown) => String(cause),
  );
  expect(again).toMatch(/VERSION_DELETED|TRUST_TARGET_TAKEN|never used again|deleted/);
});

it('a device that still has the retired version goes on serving it, also after a restart (R2); others take up new ones', async () => {
  await gone.kill();
  await gone.start();
  await gone.answeredBy('m', 1, X);
  await world.deploy('m@4');
  await device.installed('m', 4, 'good');
  await device.answeredBy('m', 4, X);
});
