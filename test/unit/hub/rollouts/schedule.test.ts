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
    expect(deviceMayBeTold(local, at('2026-11-23T17:30:00Z'))({ 'skerry/time-zone': 'Asia.Tokyo' })).toBe(true);
    expect(deviceMayBeTold(local, at('2026-11-23T02:30:00Z'))({ 'skerry/time-zone': 'Asia.Tokyo' })).toBe(false);
    expect(deviceMayBeTold(local, at('2026-11-23T02:30:00Z'))({})).toBe(true);
    expect(deviceMayBeTold(local, at('2026-11-23T02:30:00Z'))({ 'skerry/time-zone': 'Mars.Base' })).toBe(true);
  });

  it.each([
    // Five hours and three quarters ahead.
    ['Asia.Kathmandu', '2026-11-22T20:14:59Z', false],
    ['Asia.Kathmandu', '2026-11-22T20:15:00Z', true],
    ['asia.kathmandu', '2026-11-22T21:14:59Z', true],
    ['Asia.Kathmandu', '2026-11-22T21:15:00Z', false],
    // At two in the morning of 2026-10-04 clocks go to half past: nobody's clock shows two.
    ['Australia.Lord_Howe', '2026-10-03T15:30:00Z', false],
    ['Australia.Lord_Howe', '2026-10-04T15:00:00Z', true],
    // At two in the morning of 2026-04-05 clocks go back to half past one: two comes twice.
    ['Australia.Lord_Howe', '2026-04-04T15:00:00Z', false],
    ['Australia.Lord_Howe', '2026-04-04T15:30:00Z', true],
  ])('knows %s at %s: %s', (zone, time, open) => {
    expect(deviceMayBeTold(local, at(time))({ 'skerry/time-zone': zone })).toBe(open);
  });

  it('does not hold up the hub over a fleet outside of a long window', () => {
    const schedule = scheduleSchema.parse({ windows: [{ cron: '0 22 * * *', lasts: '8h', time: 'device' }] });
    const mayBeTold = deviceMayBeTold(schedule, at('2026-11-23T12:00:00Z'));
    const began = performance.now();
    const told = Array.from({ length: 10_000 }, () => mayBeTold({ 'skerry/time-zone': 'Europe.Berlin' }));
    expect(told.filter(Boolean)).toEqual([]);
    // Worked out for each device, it takes more than a minute.
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

it.each(['* * * * * *', '30 0 22 * * *', '0 22 L * *', 'tonight'])('refuses %j', (cron) => {
  expect(scheduleSchema.safeParse({ windows: [{ cron, lasts: '1h' }] }).success).toBe(false);
});
