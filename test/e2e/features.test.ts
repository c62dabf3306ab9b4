import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeploymentPlan } from '#hub/fleet/deployment-view.js';
import type { PlanView } from '#hub/rollouts/views.js';
import { classifierModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { deviceOf, enrolDevices, QUICK_HUB, reports, Rollout, settle, startAll } from './rollouts.js';
import { World } from './world.js';

const FEATURE = 'onnx-zipmap';
const WHY = `needs ${FEATURE}, which its agent does not have yet`;
const DOCUMENT = { model: 'm', version: 2, cohort: '', waves: ['100%'], reserve: '0%', bake: '1s', gates: [{ gate: 'install' }] };

describe('a version that needs a feature which one agent of the fleet lacks', () => {
  let world: World;
  let able: Device;
  let old: Device;

  beforeAll(async () => {
    world = await World.start({ hubArgs: QUICK_HUB });
    const [first, second] = await enrolDevices(world, 'mixed', 2);
    if (first === undefined || second === undefined) throw new Error('unreachable');
    [able, old] = [first, second];
    await world.publish('m', 1, classifierModel({ zipMap: false }), ['--samples', '1']);
    await world.publish('m', 2, classifierModel(), ['--samples', '1']);
    await startAll([able]);
    await startAll([old], { lacks: [FEATURE] });
    await settle(world, [able, old], 'm', 1);
  });
  afterAll(() => world.close());

  it('is shown before the start: the plan of a rollout and of a deployment name the device and the feature', async () => {
    const file = path.join(world.folder, 'planned.json');
    await writeFile(file, JSON.stringify(DOCUMENT));
    const incapable = [{ device: old.name, why: WHY, lacks: [FEATURE] }];
    const plan = (await world.fleet.command(['rollout', 'plan', '-f', file])) as PlanView;
    expect(plan).toMatchObject({ devices: 1, incapable });
    expect((await world.run(['rollout', 'plan', '-f', file])).stdout).toContain(`left out: ${old.name} (${WHY})`);
    const deployment = (await world.fleet.command(['deploy', 'm@2', '--all', '--dry-run'])) as DeploymentPlan;
    expect(deployment).toMatchObject({ matched: 2, incapable });
    expect((await world.run(['deploy', 'm@2', '--all', '--dry-run'])).stdout).toContain(`cannot run it yet: ${old.name} (${WHY})`);
    expect((await deviceOf(world, able.name)).desired.models).toMatchObject([{ version: 1 }]);
  });

  it('is rolled out to the others, and nothing of it counts as a failure', async () => {
    const rollout = await Rollout.create(world, DOCUMENT);
    const { waveViews } = await rollout.reach('completed');
    expect(waveViews.map(({ counts }) => [counts.installed, counts.failed])).toEqual([[1, 0]]);
    expect((await rollout.rows()).map(({ device }) => device)).toEqual([able.name]);
    expect((await deviceOf(world, old.name)).desired.models).toMatchObject([{ version: 1 }]);
  });

  it('deployed all the same, the device refuses it by name, serves on, and marks nothing bad', async () => {
    const { code, stdout } = await world.run(['deploy', 'm@2', '--all', '--wait', '--timeout', '5m']);
    expect(code).toBe(3);
    expect(stdout).toContain('1 of 2 devices serve m@2');
    expect(stdout).toContain('1 cannot run it until their agents are updated:');
    expect(stdout).toMatch(new RegExp(`${old.name} +FEATURE_MISSING: .*${FEATURE}`));
    expect(await old.version('m', 2)).toMatchObject({ install: 'fetching', error: { code: 'FEATURE_MISSING' } });
    expect(await old.serving('m')).toBe(1);
    expect(await world.events(`device=${old.name}&kind=version.refused`)).toEqual([]);
  });

  it('after the update of its agent the device takes it up, and nobody has to ask again', async () => {
    await old.stop();
    await startAll([old]);
    await reports(world, old, 'm', 2, 'good');
    expect(await old.serving('m')).toBe(2);
    const newest = await until('the deployment to be served', async () => {
      const { deployments } = (await world.fleet.api('/deployments')) as { deployments: { id: number }[] };
      const progress = (await world.fleet.api(`/deployments/${deployments[0]?.id}`)) as {
        counts: { serving: number; unsupported: number; refused: number };
      };
      return progress.counts.serving === 2 && progress;
    });
    expect(newest.counts).toMatchObject({ unsupported: 0, refused: 0 });
  });
});
