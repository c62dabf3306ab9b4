import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../e2e/device.js';
import { reports } from '../e2e/rollouts.js';
import { World } from '../e2e/world.js';
import { affineModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import { buildReleases, type Fault, type Releases, SPOILT } from './releases.js';
import { AgentService } from './service.js';
import { whyNot } from './tools.js';

const reason = whyNot(['gcc', 'g++', 'strip']);
const X = [1, 2, 3, 4];
const RIGHT = [3, 5, 7, 9];

/** A device that answers quickly and gives a release on trial little time; enough for a machine that is busy. */
const QUICK = ['--http-port', '0', '--bake', '300ms', '--reconnect-max', '300ms', '--keepalive', '5s'];
const PATIENCE = ['--update-bake', '4s', '--update-alive', '7s'];

/** Steps of an update before the process is handed over, and after. */
const BEFORE = ['accept', 'fetchManifest', 'fetchExecutable', 'place', 'stage', 'handOver', 'makesRoom'] as const;
const PROVING = ['beginTrial', 'conclude'] as const;
/** A kill that meets `handOver` after it was written down is followed by the trial itself: then no room is ever made. */
const certain = (steps: readonly string[]): readonly string[] => steps.filter((step) => step !== 'makesRoom');

describe.skipIf(reason !== undefined)(`self-update of the packaged agent${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let folder: string;
  let releases: Releases;
  let world: World;
  let device: Device;
  let service: AgentService;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-self-update-'));
    releases = await buildReleases(path.join(folder, 'releases'));
    world = await World.start({ trustArgs: ['--agent'] });
    device = await world.enrol('d1');
    await world.publish('m', 1, affineModel({ scale: 2 }), ['--samples', '1']);
    await world.deploy('m@1');
    const logFile = path.join(folder, 'agent.log');
    service = new AgentService({ program: releases.packaged, data: device.data, logFile, args: [...QUICK, ...PATIENCE] });
    service.start();
    await service.until('the model to serve', async () => (await predict()).join() === RIGHT.join(), 60_000);
  }, 300_000);
  afterAll(async () => {
    await service?.stop();
    await world?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  const predict = async (): Promise<readonly number[]> => {
    const running = JSON.parse(await readFile(path.join(device.data, 'agent.json'), 'utf8')) as { http: string };
    const response = await fetch(`${running.http}/v2/models/m/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: X }] }),
    });
    const body = (await response.json()) as { outputs?: { data: number[] }[] };
    return body.outputs?.[0]?.data ?? [];
  };
  const roll = async (version: number, fault: Fault): Promise<string> => {
    const file = await releases.make(`0.2.${version}`, fault);
    await world.fleet.publishAgent([file], ['--version', `${version}`, '--release', `0.2.${version}`]);
    await world.deploy(`skerry-agent@${version}`);
    return file;
  };
  const settled = (version: number, install: 'good' | 'bad', deadlineMs = 120_000): Promise<{ readonly code: string | undefined }> =>
    service.until(
      `release ${version} to be ${install}`,
      async () => {
        const release = await service.release(version);
        const { trying, refused } = await service.slots();
        return release?.install === install && trying === null && refused === null && { code: release.error?.code };
      },
      deadlineMs,
    );
  const digest = async (file: string): Promise<string> =>
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  const slotFile = (slot: string): string => path.join(device.data, 'agents', slot, 'skerry-agent');

  it('becomes a good release, killed at every step on the way, and serves', async () => {
    service.killAtEach([...BEFORE, ...PROVING]);
    const file = await roll(2, 'none');
    await settled(2, 'good');
    expect(certain(service.killed)).toEqual(certain([...BEFORE, ...PROVING]));
    // The start after the last kill may say what it became before it has loaded the model.
    await service.until('the model to serve', async () => (await predict()).join() === RIGHT.join(), 60_000);
    const { good, trying, refused } = await service.slots();
    expect({ good, trying, refused }).toMatchObject({ good: { slot: 'a', version: 2, release: '0.2.2' }, trying: null, refused: null });
    expect(await digest(slotFile('a'))).toBe(await digest(file));
    const status = await service.status();
    expect(status.version).toBe('0.2.2');
    expect(status.reported.capabilities.selfUpdate).toEqual({ able: true, release: 2 });
    expect(await readdir(path.join(device.data, 'native'))).toHaveLength(1);
  }, 300_000);

  // Until it is started, nothing shows which fault a release has: one of them is killed on the way there as well.
  it.each([
    { fault: 'crash', version: 3, code: 'UPDATE_EXITED', on: BEFORE },
    { fault: 'hang', version: 4, code: 'UPDATE_EXITED', on: [] },
    { fault: 'hang-later', version: 5, code: 'UPDATE_EXITED', on: [] },
    { fault: 'deaf', version: 6, code: 'UPDATE_NOT_CONNECTED', on: [] },
  ] as const)(
    'goes back from a release with fault $fault, killed at every step',
    async ({ fault, version, code, on }) => {
      const before = await digest(slotFile('a'));
      service.killAtEach([...on, 'goBack', 'adopt']);
      await roll(version, fault);
      expect(await settled(version, 'bad', 180_000)).toEqual({ code });
      await service.until('the model to serve', async () => (await predict()).join() === RIGHT.join(), 60_000);
      expect(certain(service.killed)).toEqual(certain(fault === 'deaf' ? [...on, 'goBack', 'adopt'] : [...on, 'adopt']));
      expect(await service.slots()).toMatchObject({ good: { slot: 'a', version: 2 }, trying: null, refused: null });
      expect(await digest(slotFile('a'))).toBe(before);
      expect((await service.status()).version).toBe('0.2.2');
    },
    300_000,
  );

  it('takes the next good release into the other slot', async () => {
    service.killAtEach([]);
    await roll(7, 'none');
    await settled(7, 'good');
    expect(await service.slots()).toMatchObject({ good: { slot: 'b', version: 7 }, trying: null, refused: null });
    expect(await predict()).toEqual(RIGHT);
  }, 300_000);

  it('leaves good releases that begin to end whenever they are started, and takes one again when it is told to', async () => {
    const spoilt = path.join(device.data, SPOILT);
    const starts = async (version: number): Promise<number | undefined> => {
      const { good } = await service.slots();
      return good?.version === version ? good.watch?.boots : undefined;
    };
    for (const version of [9, 10]) {
      await roll(version, 'spoils');
      await settled(version, 'good');
    }
    // Ended in order, or by a power cut that it comes back from: neither is held against it.
    await service.stop();
    expect(await starts(10)).toBe(0);
    service.start();
    await service.until('the model to serve', async () => (await predict()).join() === RIGHT.join(), 60_000);
    const { pid } = await service.status();
    service.kill();
    await service.until(
      'the next run to prove itself',
      async () => (await service.status()).pid !== pid && (await starts(10)) === 0,
      60_000,
    );

    service.killAtEach(['adopt']);
    service.ends.length = 0;
    await writeFile(spoilt, '');
    service.kill();
    await service.until(
      'the agent of the package to have taken both verdicts',
      async () => {
        const { good, refused } = await service.slots();
        return good === null && refused === null;
      },
      240_000,
    );
    await service.until('the model to serve', async () => (await predict()).join() === RIGHT.join(), 60_000);
    expect(service.killed).toEqual(['adopt']);
    expect(service.ends.filter((end) => end === 'SIGSEGV')).toHaveLength(40);
    expect((await service.status()).reported.capabilities.selfUpdate).toEqual({ able: true });
    for (const version of [9, 10]) {
      expect(await service.release(version)).toMatchObject({ install: 'bad', error: { code: 'UPDATE_CRASH_LOOP' } });
    }
    // The hub hears of both, and shows them as refused.
    for (const version of [9, 10]) await reports(world, device, 'skerry-agent', version, 'bad');
    await until('the hub to have the events', async () => {
      const events = await world.events('kind=version.rolled-back&limit=50');
      const left = events.filter(({ error }) => error?.code === 'UPDATE_CRASH_LOOP').map(({ detail }) => detail?.['from']);
      return left.includes(9) && left.includes(10);
    });

    await rm(spoilt);
    await world.deploy('skerry-agent@10', '', ['--retry']);
    await settled(10, 'good');
    expect((await service.status()).version).toBe('0.2.10');
  }, 600_000);

  // The kernel ends no first process of a namespace by a timer: there the launcher stays, and starts its child again.
  it.skipIf(whyNot(['unshare'], { root: true }) !== undefined)(
    'ends a hanging release as the first process of a container, which stays',
    async () => {
      await service.stop();
      const logFile = path.join(folder, 'container.log');
      const by = ['unshare', '--pid', '--fork', '--kill-child'];
      service = new AgentService({ program: releases.packaged, data: device.data, logFile, args: [...QUICK, ...PATIENCE], by });
      service.start();
      await service.until('the model to serve', async () => (await predict()).join() === RIGHT.join(), 60_000);
      await roll(11, 'hang');
      expect(await settled(11, 'bad')).toEqual({ code: 'UPDATE_EXITED' });
      await service.until('the model to serve', async () => (await predict()).join() === RIGHT.join(), 60_000);
      expect(await service.slots()).toMatchObject({ good: { version: 10 } });
      expect(service.ends).toEqual([]);
    },
    300_000,
  );
});
