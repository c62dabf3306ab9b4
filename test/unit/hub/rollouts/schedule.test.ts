import { describe, expect, it } from 'vitest';
import { deviceMayBeTold, hubMayAct, scheduleSchema } from '#hub/rollouts/schedule.js';

const NIGHT = scheduleSchema.parse({ windows: [{ cron: '0 22 * * 1-5', lasts: '4h', timeZone: 'Europe/Berlin' }] });
const at = (text: string): number => Date.parse(text);

describe('hubMayAct', () => {
  it.each([
    ['2026-11-23T20:59:00Z', false],
    ['2026-11-23T21:00:00Z', true],
    ['2026-11-24T00:59:59Z', true],
    ['2026-11-24T01:00:00Z', false],
    // Friday's window lasts into Saturday; none opens on Saturday.
    ['2026-11-28T00:30:00Z', true],
    ['2026-11-28T21:30:00Z', false],
    // Summer time: two hours before UTC.
    ['2026-07-06T20:00:00Z', true],
    ['2026-07-06T19:59:00Z', false],
  ])('at %s: %s', (time, open) => {
    expect(hubMayAct(NIGHT, at(time))).toBe(open);
  });

  it('waits for the start', () => {
    const schedule = scheduleSchema.parse({ start: '2026-12-01T22:00:00+01:00' });
    expect(hubMayAct(schedule, at('2026-12-01T20:59:59Z'))).toBe(false);
    expect(hubMayAct(schedule, at('2026-12-01T21:00:00Z'))).toBe(true);
  });
});

describe('deviceMayBeTold', () => {
  const local = scheduleSchema.parse({ windows: [{ cron: '0 2 * * *', lasts: '1h', time: 'device', timeZone: 'UTC' }] });

  it('goes by the time of each device', () => {
    expect(hubMayAct(local, at('2026-11-23T12:00:00Z'))).toBe(true);
    expect(deviceMayBeTold(local, { 'skerry/time-zone': 'Asia.Tokyo' }, at('2026-11-23T17:30:00Z'))).toBe(true);
    expect(deviceMayBeTold(local, { 'skerry/time-zone': 'Asia.Tokyo' }, at('2026-11-23T02:30:00Z'))).toBe(false);
    expect(deviceMayBeTold(local, {}, at('2026-11-23T02:30:00Z'))).toBe(true);
    expect(deviceMayBeTold(local, { 'skerry/time-zone': 'Mars.Base' }, at('2026-11-23T02:30:00Z'))).toBe(true);
  });
});

it.each(['* * * * * *', '30 0 22 * * *', '0 22 L * *', 'tonight'])('refuses %j', (cron) => {
  expect(scheduleSchema.safeParse({ windows: [{ cron, lasts: '1h' }] }).success).toBe(false);
});
