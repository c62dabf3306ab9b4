import { describe, expect, it } from 'vitest';
import { judgeClock } from '#hub/clock/decide/clock-verdict.js';
import { HubClock } from '#hub/clock/hub-clock.js';
import { days, hours, minutes } from '#shared/kernel/time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { coded } from '../../kit/coded.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const now = Date.UTC(2026, 5, 1);
const at = { now, expected: now, differences: [] as number[], confirmed: false };

describe('18 D: whether the clock of the hub may date signatures', () => {
  it.each([
    ['nothing was ever signed', { expected: undefined }, true],
    ['it was off for a day', { expected: now - days(1) }, true],
    ['it was off for a month, and no device is there', { expected: now - days(30) }, false],
    ['it was off for a month, and a device has the same time', { expected: now - days(30), differences: [minutes(3)] }, true],
    ['it stands 25 days ahead, and the devices say so', { expected: now - days(25), differences: [days(-25), days(-25)] }, false],
    [
      'it stands 25 days ahead, and one device of two has the same wrong time',
      { expected: now - days(25), differences: [0, days(-25)] },
      false,
    ],
    ['it stands 8 years ahead', { expected: now - days(3_000) }, false],
    ['it was set back by half an hour', { expected: now + minutes(30) }, true],
    ['it was set back by a day', { expected: now + days(1) }, false],
    ['one device is a week off', { differences: [days(7), 0] }, true],
    ['one device alone is a week off', { differences: [days(7)] }, true],
    ['three devices are a day off', { differences: [days(-1), days(-1), days(-1)] }, false],
    ['three devices are off and two are not', { differences: [days(1), days(1), days(1), 0, 0] }, true],
    ['an operator said so', { expected: now - days(3_000), confirmed: true }, true],
  ] as const)('%s', (_name, evidence, credible) => {
    expect(judgeClock({ ...at, ...evidence }).state).toBe(credible ? 'credible' : 'suspect');
  });

  function hubClock(clock: VirtualClock) {
    const told: string[] = [];
    const guard = new HubClock({ clock, logger: silentLogger, onChange: ({ state }) => told.push(state) });
    return { guard, told };
  }

  it('notices a jump while it runs, signs nothing, and goes on by itself once the clock is right again', async () => {
    const clock = new VirtualClock(now);
    const { guard, told } = hubClock(clock);
    let released = 0;
    guard.onCredible(() => void (released += 1));
    guard.begin(now - hours(2));
    await clock.advance(days(9));
    guard.require();
    clock.setWallClock(clock.now() + days(25));
    expect(() => guard.require()).toThrow(coded('HUB_CLOCK_SUSPECT'));
    await clock.advance(hours(1));
    expect(guard.isCredible).toBe(false);
    clock.setWallClock(clock.now() - days(25));
    guard.require();
    expect({ told, released }).toEqual({ told: ['suspect', 'credible'], released: 1 });
  });

  it('is released by a device with the same time, and by an operator until the clock is set again', async () => {
    const clock = new VirtualClock(now);
    const { guard } = hubClock(clock);
    guard.begin(now - days(60));
    expect(guard.isCredible).toBe(false);
    guard.heard('cam-1', now + minutes(1));
    expect(guard.isCredible).toBe(true);

    const other = hubClock(clock).guard;
    other.begin(now + days(3_000));
    expect(other.isCredible).toBe(false);
    other.confirm();
    expect(other.isCredible).toBe(true);
    clock.setWallClock(now - days(2));
    expect(other.isCredible).toBe(false);
  });
});
