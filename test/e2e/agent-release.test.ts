import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeAgentPrograms } from '../kit/agent-program.js';
import { affineModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { World } from './world.js';

const INPUT = [0, 0.25, 0.5, 0.75];

interface DeviceView {
  readonly agentVersion: string;
  readonly platform: string;
  readonly selfUpdate: { readonly able: boolean; readonly reason?: string } | null;
  readonly desired: { readonly models: readonly { readonly model: string; readonly version: number }[] };
  readonly reported: { readonly models: readonly { readonly model: string; readonly serving: number | null }[] } | null;
}

describe('a release of the agent, and a device whose agent runs from source', () => {
  let world: World;
  let device: Device;
  beforeAll(async () => {
    world = await World.start({ trustArgs: ['--agent'] });
    await world.publish('affine', 1, affineModel(), ['--samples', '1']);
    device = await world.enrol('source');
    await world.deploy('affine@1');
    await device.start();
    await device.answeredBy('affine', 1, INPUT);
    await world.fleet.publishAgent(await writeAgentPrograms(world.folder), ['--release', '0.9.0']);
  });
  afterAll(() => world.close());

  const view = async (): Promise<DeviceView> => (await world.fleet.api(`/devices/${device.name}`)) as DeviceView;

  it('is shown as not able before any rollout begins, with the reason', async () => {
    const { selfUpdate, platform } = await until('the device to say what it can', async () => {
      const seen = await view();
      return seen.selfUpdate !== null && seen;
    });
    expect([platform, selfUpdate?.able]).toEqual([`${process.platform}-${process.arch}`, false]);
    const plan = (await world.fleet.command(['rollout', 'plan', 'skerry-agent@2', '--all', '--waves', '100%'])) as {
      incapable: readonly { readonly device: string; readonly why: string }[];
    };
    expect(plan.incapable).toEqual([{ device: device.name, why: `the agent cannot replace itself: ${selfUpdate?.reason}` }]);
    const created = await world.run(['rollout', 'create', 'skerry-agent@2', '--all', '--json']);
    expect(JSON.parse(created.stderr)).toMatchObject({ code: 'ROLLOUT_EMPTY' });
  });

  it('is refused by the device when it is deployed all the same, and its models go on', async () => {
    const refused = await world.run(['deploy', 'skerry-agent@2', '--all', '--wait', '--json']);
    expect(JSON.parse(refused.stdout)).toMatchObject({ devices: [{ state: 'refused', error: { code: 'UPDATE_UNSUPPORTED' } }] });
    expect(refused.code).toBe(1);
    expect((await device.predict('affine', INPUT)).version).toBe(1);
    expect((await view()).desired.models.map(({ model, version }) => [model, version])).toEqual([
      ['affine', 1],
      ['skerry-agent', 2],
    ]);
  });

  it('cannot be rolled out as something only a model can be', async () => {
    const file = path.join(world.folder, 'rollout.yaml');
    await writeFile(file, 'model: skerry-agent\nversion: 2\ncohort: ""\nwaves: [100%]\nstrategy: shadow\ngates: [{ gate: errors }]\n');
    const refused = JSON.parse((await world.run(['rollout', 'create', '--file', file, '--json'])).stderr) as {
      code: string;
      message: string;
    };
    expect(refused.code).toBe('ROLLOUT_INVALID');
    expect(refused.message).toMatch(/strategy: .* only as "canary"/);
    expect(refused.message).toMatch(/gates\.0: "errors" looks at predictions/);
  });
});
