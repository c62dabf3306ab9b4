import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deviceOf, QUICK_HUB, Rollout } from '../e2e/rollouts.js';
import { World } from '../e2e/world.js';
import { buildReleases, type Fault, type Releases } from './releases.js';
import { AgentService } from './service.js';
import { whyNot } from './tools.js';

const reason = whyNot(['gcc', 'g++', 'strip']);
const SETTINGS = ['--http-port', '0', '--reconnect-max', '300ms', '--keepalive', '5s', '--update-bake', '4s', '--update-alive', '7s'];

const PATIENT_MS = 240_000;

describe.skipIf(reason !== undefined)(`rollouts of the packaged agent${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let folder: string;
  let releases: Releases;
  let world: World;
  const services: AgentService[] = [];
  const names = ['one', 'two'];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-agent-rollout-'));
    releases = await buildReleases(path.join(folder, 'releases'));
    world = await World.start({ trustArgs: ['--agent'], hubArgs: QUICK_HUB });
    for (const name of names) {
      const { data } = await world.enrol(name);
      const service = new AgentService({ program: releases.packaged, data, logFile: path.join(folder, `${name}.log`), args: SETTINGS });
      services.push(service);
      service.start();
    }
    await runs([undefined, undefined]);
  }, 300_000);
  afterAll(async () => {
    await Promise.all(services.map((service) => service.stop()));
    await world?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  /** Waits until the hub knows that the devices run these releases, each able to be replaced; none is the packaged agent. */
  const runs = (wanted: readonly (number | undefined)[]): Promise<unknown> =>
    services[0]?.until(
      `the devices to run ${JSON.stringify(wanted)}`,
      async () => {
        const views = await Promise.all(names.map((name) => deviceOf(world, name)));
        return views.every(({ selfUpdate }, at) => selfUpdate?.able === true && selfUpdate.release === wanted[at]);
      },
      120_000,
    ) ?? Promise.reject(new Error('no device was started'));
  const publish = async (version: number, fault: Fault): Promise<void> => {
    const release = `0.2.${version}`;
    await world.fleet.publishAgent([await releases.make(release, fault)], ['--version', `${version}`, '--release', release]);
  };
  /** One device first, then the other. */
  const roll = async (version: number): Promise<Rollout> => {
    const rules = { waves: [{ count: 1 }, '100%'], bake: '1s', deadline: '10m', gates: [{ gate: 'install' }] };
    const rollout = await Rollout.create(world, { model: 'skerry-agent', version, cohort: '', ...rules });
    expect((await rollout.detail()).incapable).toEqual([]);
    return rollout;
  };
  const ends = (rollout: Rollout, end: string): Promise<unknown> => rollout.until(`to be ${end}`, ({ state }) => state === end, PATIENT_MS);

  it('takes a good release to every device, one first, and back to the agent of the package when asked to', async () => {
    await publish(2, 'none');
    const rollout = await roll(2);
    await ends(rollout, 'completed');
    await runs([2, 2]);
    expect((await deviceOf(world, 'one')).agentVersion).toBe('0.2.2');
    await rollout.act('rollback');
    await ends(rollout, 'rolled-back');
    await runs([undefined, undefined]);
  }, 600_000);

  it('takes a crashing release back from the one device that tried it; the other never hears of it', async () => {
    await ends(await roll(2), 'completed');
    await runs([2, 2]);
    await publish(3, 'crash');
    const rollout = await roll(3);
    await ends(rollout, 'rolled-back');
    const failed = (await rollout.decisions()).find(({ event }) => event === 'gate-failed-rollback');
    expect(failed?.reason).toMatch(/^install: /);
    await runs([2, 2]);
    const tried = await Promise.all(services.map(async (service) => (await service.release(3))?.error?.code));
    expect(tried.filter((code) => code !== undefined)).toEqual(['UPDATE_EXITED']);
    const events = await world.events('kind=version.rolled-back&limit=50');
    expect(events.filter(({ model, detail }) => model === 'skerry-agent' && detail?.['from'] === 3)).toHaveLength(1);
  }, 600_000);
});
