import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affineModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { deviceOf, enrolDevices, expectChain, passing, QUICK_HUB, reports, Rollout, settle, startAll } from './rollouts.js';
import { Told } from './told.js';
import { World } from './world.js';

const GATES = [{ gate: 'install', atMost: 0.001 }];
const AWAY = 'role=away';
const HERE = 'role!=gone';

describe('a device that is away for the whole of a rollout', () => {
  let world: World;
  let here: Device[];
  let away: Device;
  let told: Told;
  let unheard: Rollout;

  beforeAll(async () => {
    world = await World.start({ hubArgs: QUICK_HUB });
    for (const version of [1, 2, 3, 4]) await world.publish('m', version, affineModel({ scale: version }), ['--samples', '1']);
    // Enrolled, and never heard of: the minute it is given passes while the other tests run.
    await world.enrol('gone', { labels: { role: 'gone' } });
    unheard = await Rollout.create(world, {
      model: 'm',
      version: 1,
      cohort: 'role=gone',
      waves: ['100%'],
      deadline: '1m',
      silent: { after: '2s' },
      gates: [{ gate: 'install' }],
    });
    here = await enrolDevices(world, 'here', 2);
    away = await world.enrol('away', { labels: { role: 'away' } });
    told = new Told(away);
    await startAll([...here, away]);
    await settle(world, [...here, away], 'm', 1, HERE);
  });
  afterAll(() => world.close());

  async function unplug(): Promise<void> {
    told.mark();
    away.cable.cut();
    await until('the hub to miss it', async () => (await deviceOf(world, away.name)).presence.state === 'offline');
  }

  it('counts as a failure once it was silent for too long, and never hears of what was taken back meanwhile', async () => {
    await unplug();
    const document = {
      model: 'm',
      version: 2,
      cohort: HERE,
      waves: [{ cohort: AWAY }, { percent: 1, gates: [] }],
      silent: { after: '3s' },
      gates: GATES,
      falseAlarms: 0.5,
    };
    const rollout = await Rollout.create(world, document);
    await rollout.reach('rolled-back');
    const chain = (await expectChain(rollout)).filter((event) => event !== '0 all-decided' && event !== '0 baked');
    expect(chain).toEqual(['0 begin-wave', '0 gate-failed-rollback', '0 reverted']);
    const decisions = await rollout.decisions();
    expect(decisions.find(({ event }) => event === 'gate-failed-rollback')?.reason).toMatch(/^install: 1 of 1 devices .* 1 silent/);
    // Not proved: nobody claims that it went back.
    const rows = await rollout.rows();
    expect(rows.map(({ device, status }) => `${device} ${status}`)).toEqual([
      'away unproven',
      ...rows.slice(1).map(({ device }) => `${device} waiting`),
    ]);

    away.cable.join();
    await reports(world, away, 'm', 1, 'good');
    expect(told.versions('m')).toEqual([1]);
    expect(await away.version('m', 2)).toBeUndefined();
  });

  it('takes up the newest decision when it returns, not those it missed', async () => {
    await unplug();
    for (const version of [3, 4]) {
      const rollout = await Rollout.create(world, {
        model: 'm',
        version,
        cohort: HERE,
        waves: ['100%'],
        bake: '1s',
        silent: { after: '3s', as: 'left-out' },
        evidence: { devices: 2 },
        gates: GATES,
      });
      await rollout.reach('completed');
      expect(await expectChain(rollout)).toEqual(passing(0, true));
      const rows = await rollout.rows();
      expect(
        rows
          .filter(({ status }) => status === 'installed')
          .map(({ device }) => device)
          .toSorted(),
      ).toEqual(['here-1', 'here-2']);
      expect(rows.find(({ device }) => device === away.name)?.status).toBe('silent');
      for (const device of here) await reports(world, device, 'm', version, 'good');
      if (version === 3) continue;

      expect((await away.predict('m', [1, 2, 3, 4])).version).toBe(1);
      away.cable.join();
      await reports(world, away, 'm', 4, 'good');
      expect(told.versions('m')).toEqual([4]);
      expect(await away.version('m', 3)).toBeUndefined();
    }
  });

  it('holds its wave up where too few are left to prove a failure: at the deadline somebody is asked', async () => {
    await unheard.reach('paused');
    expect(await expectChain(unheard)).toEqual(['0 begin-wave', '0 all-decided', '0 deadline']);
    const [, , stop] = await unheard.decisions();
    expect(stop?.reason).toMatch(/^the deadline of 1m passed: .*1 silent/);
  });
});
