import { describe, expect, it } from 'vitest';
import { TrustWatch, type TrustAlert } from '#hub/registry/trust-watch.js';
import { renewTrust } from '#hub/publisher/trust-keeper.js';
import { renewPublisher } from '#hub/publisher/trust-sign.js';
import { days, hours } from '#shared/kernel/time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { ceremony, currentFiles, makeTrustWorld, ROLE, type TrustWorld } from '../../../kit/trust-world.js';

function watch(world: TrustWorld): { look: () => string[] } {
  const alerts: TrustAlert[] = [];
  const made = new TrustWatch({ tuf: world.hub, clock: world.clock, logger: silentLogger, notify: (alert) => alerts.push(alert) });
  return {
    look: () => {
      alerts.length = 0;
      made.look();
      return alerts.map(({ role }) => role);
    },
  };
}

describe('before signatures end', () => {
  it('the hub warns a month, a week and a day before, and when they did; once each', async () => {
    const world = await makeTrustWorld({ lifetime: days(60) });
    const { look } = watch(world);
    expect(look()).toEqual([]);
    for (const [at, expected] of [
      [days(29), []],
      [days(31), ['root', 'targets', ROLE]],
      [days(40), []],
      [days(54), ['root', 'targets', ROLE]],
      [days(59) + hours(1), ['root', 'targets', ROLE]],
      [days(60), ['root', 'targets', ROLE]],
      [days(90), []],
    ] as const) {
      world.clock.shift = at;
      expect(look()).toEqual(expected);
    }
  });

  it('what was signed again is left out, and its next file is warned of in its turn', async () => {
    const world = await makeTrustWorld({ lifetime: days(60) });
    const { look } = watch(world);
    world.clock.shift = days(40);
    expect(look()).toEqual(['root', 'targets', ROLE]);
    await world.hub.accept(await renewTrust({ ...ceremony(world), lifetime: days(60) }));
    world.clock.shift = days(55);
    expect(look()).toEqual([ROLE]);
    const roles = await renewPublisher({ ...ceremony(world), role: ROLE, current: currentFiles(world), lifetime: days(365) });
    await world.hub.accept({ roles });
    world.clock.shift = days(75);
    expect(look()).toEqual(['root', 'targets']);
  });

  it('says whose they are, when, and what to do', async () => {
    const world = await makeTrustWorld({ lifetime: days(10) });
    const said: string[] = [];
    const made = new TrustWatch({
      tuf: world.hub,
      clock: world.clock,
      logger: silentLogger,
      notify: ({ reason }) => said.push(reason),
    });
    made.look();
    expect(said[0]).toMatch(/^the signatures of role root expire in (9|10) d.*no device takes up anything new.*"skerry trust resign"$/);
    expect(world.hub.expiries().map(({ role, signedBy }) => [role, signedBy])).toEqual([
      ['root', 'people'],
      ['targets', 'people'],
      [ROLE, 'people'],
      ['snapshot', 'hub'],
      ['timestamp', 'hub'],
    ]);
  });
});
