import { describe, expect, it } from 'vitest';
import { deviceMayBeTold, hubMayAct, scheduleOutlook, scheduleSchema, tellableTime, zonesOf } from '#hub/rollouts/decide/schedule.js';
import { days, hours, minutes } from '#shared/kernel/time.js';

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
    // At two in the morning of 2026-10-04 clocks go to half past: what was to open at two opens then.
    ['Australia.Lord_Howe', '2026-10-03T15:29:00Z', false],
    ['Australia.Lord_Howe', '2026-10-03T15:30:00Z', true],
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

describe('windows over a change of the clocks', () => {
  const STEP = minutes(10);
  const minutesOpen = (cron: string, lasts: string, timeZone: string, from: string): [string, number][] => {
    const schedule = scheduleSchema.parse({ windows: [{ cron, lasts, timeZone }] });
    const spans: [string, number][] = [];
    for (let t = at(from), last = 0; t < at(from) + days(1); t += STEP) {
      if (!hubMayAct(schedule, t)) continue;
      const span = spans.at(-1);
      if (span !== undefined && last === t - STEP) span[1] += 10;
      else spans.push([new Date(t).toISOString().slice(5, 16), 10]);
      last = t;
    }
    return spans;
  };

  it.each([
    ['skipped: opens after the gap', '30 2 * * *', '1h', 'Europe/Berlin', '2026-03-28T12:00:00Z', [['03-29T01:00', 60]]],
    ['skipped in New York', '15 2 * * *', '30m', 'America/New_York', '2026-03-08T00:00:00Z', [['03-08T07:00', 30]]],
    ['midnight is skipped', '0 0 * * *', '1h', 'America/Santiago', '2026-09-05T12:00:00Z', [['09-06T04:00', 60]]],
    ['doubled: once', '30 2 * * *', '1h', 'Europe/Berlin', '2026-10-24T12:00:00Z', [['10-25T00:30', 60]]],
    ['doubled at midnight', '30 0 * * *', '20m', 'Africa/Cairo', '2026-10-29T12:00:00Z', [['10-29T22:30', 20]]],
    ['over the gap: lasts in real time', '0 1 * * *', '3h', 'Europe/Berlin', '2026-03-28T12:00:00Z', [['03-29T00:00', 180]]],
    [
      'a day that is left out',
      '0 2 * * *',
      '1h',
      'Pacific/Apia',
      '2011-12-30T00:00:00Z',
      [
        ['12-30T10:00', 60],
        ['12-30T12:00', 60],
      ],
    ],
  ] as const)('%s', (_name, cron, lasts, zone, from, expected) => {
    expect(minutesOpen(cron, lasts, zone, from)).toEqual(expected);
  });

  it('goes by the hours as they pass where every hour is named', () => {
    const hourly = minutesOpen('0 * * * *', '10m', 'Europe/Berlin', '2026-10-24T12:00:00Z');
    expect(hourly).toHaveLength(24);
    expect(minutesOpen('0 * * * *', '10m', 'Europe/Berlin', '2026-03-28T12:00:00Z')).toHaveLength(24);
  });
});

describe('what a schedule says of the time to come', () => {
  const NOBODY = zonesOf([]);
  const night = (changes: object = {}) => scheduleSchema.parse({ windows: [{ cron: '0 22 * * *', lasts: '2h', ...changes }] });

  it.each([
    ['closed', night(), '2026-11-23T12:00:00Z', { open: false, changes: at('2026-11-23T22:00:00Z') }],
    ['open', night(), '2026-11-23T22:30:00Z', { open: true, changes: at('2026-11-24T00:00:00Z') }],
    ['on a leap day', night({ cron: '0 2 29 2 *' }), '2097-01-01T00:00:00Z', { open: false, changes: at('2104-02-29T02:00:00Z') }],
    ['always open', night({ cron: '0 * * * *', lasts: '1h' }), '2026-11-23T22:30:00Z', { open: true, changes: null }],
    [
      'to start',
      scheduleSchema.parse({ start: '2026-12-01T22:00:00+01:00' }),
      '2026-11-23T00:00:00Z',
      { open: false, changes: at('2026-12-01T21:00:00Z') },
    ],
    ['to start at any time', scheduleSchema.parse({}), '2026-11-23T00:00:00Z', null],
  ] as const)('%s', (_name, schedule, now, expected) => {
    expect(scheduleOutlook(schedule, NOBODY, at(now))).toEqual(expected);
  });

  it('reckons with the zones of the devices, and with the hub and the devices both', () => {
    const devices = { cron: '0 22 * * *', lasts: '2h', time: 'device' };
    const local = scheduleSchema.parse({ windows: [devices] });
    const zones = zonesOf([{ 'skerry/time-zone': 'Asia.Tokyo' }, { 'skerry/time-zone': 'Europe.Berlin' }]);
    expect(scheduleOutlook(local, zones, at('2026-11-23T12:00:00Z'))).toEqual({ open: false, changes: at('2026-11-23T13:00:00Z') });
    expect(scheduleOutlook(local, zones, at('2026-11-23T16:00:00Z'))).toEqual({ open: false, changes: at('2026-11-23T21:00:00Z') });
    const both = scheduleSchema.parse({ windows: [devices, { cron: '0 14 * * *', lasts: '1h', timeZone: 'UTC' }] });
    expect(scheduleOutlook(both, zones, at('2026-11-23T15:30:00Z'))).toEqual({ open: false, changes: at('2026-11-24T14:00:00Z') });
    const never = scheduleSchema.parse({ windows: [devices, { cron: '0 18 * * *', lasts: '1h', timeZone: 'UTC' }] });
    expect(scheduleOutlook(never, zones, at('2026-11-23T15:30:00Z'))).toEqual({ open: false, changes: null });
  });

  it('counts only the time in which somebody may be told', () => {
    expect(tellableTime(night(), zonesOf([]), at('2026-11-20T23:00:00Z'), at('2026-11-23T22:30:00Z'))).toBe(
      hours(1) + 2 * hours(2) + hours(0.5),
    );
    expect(tellableTime(scheduleSchema.parse({}), zonesOf([]), at('2026-11-20T00:00:00Z'), at('2026-11-21T00:00:00Z'))).toBe(days(1));
  });
});

it.each(['0 0 30 2 *', '0 0 31 4,6,9,11 *'])('refuses a window that never opens: %j', (cron) => {
  expect(scheduleSchema.safeParse({ windows: [{ cron, lasts: '1h' }] }).success).toBe(false);
});

it.each(['Europe/Berlln', '+01:00', '', 'Mars/Base'])('refuses the time zone %j', (timeZone) => {
  expect(scheduleSchema.safeParse({ windows: [{ cron: '0 22 * * *', lasts: '1h', timeZone }] }).success).toBe(false);
});

it.each(['* * * * * *', '30 0 22 * * *', '0 22 L * *', 'tonight'])('refuses %j', (cron) => {
  expect(scheduleSchema.safeParse({ windows: [{ cron, lasts: '1h' }] }).success).toBe(false);
});
