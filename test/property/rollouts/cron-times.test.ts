import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { CronTimes } from '#hub/rollouts/decide/cron-times.js';
import { days, minutes } from '#shared/kernel/time.js';

const ZONES = [
  'Europe/Berlin',
  'Europe/Dublin',
  'America/New_York',
  'America/St_Johns',
  'America/Santiago',
  'America/Havana',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Asia/Beirut',
  'Asia/Tehran',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Chatham',
  'Antarctica/Troll',
  'UTC',
];

/** What clocks in the zone show, as milliseconds since the epoch as if it were UTC. */
function wallClock(timeZone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
  return (at) => Date.parse(`${format.format(at).replace(' ', 'T')}Z`);
}

/**
 * A cron daemon that looks at the clock once a minute: what the clock jumped over is done at once; of what it shows again nothing is done
 * a second time, unless every hour is named.
 */
function daemon(matches: (wall: number) => boolean, everyHour: boolean, timeZone: string, from: number, to: number): number[] {
  const wallAt = wallClock(timeZone);
  const ran: number[] = [];
  let reached = wallAt(from - minutes(1));
  for (let t = from; t < to; t += minutes(1)) {
    const wall = wallAt(t);
    let due = everyHour && wall <= reached && matches(wall);
    for (let w = reached + minutes(1); w <= wall; w += minutes(1)) due ||= matches(w);
    reached = Math.max(reached, wall);
    if (due) ran.push(t);
  }
  return ran;
}

/** Days on which the clocks of a zone change, and others. */
const place: fc.Arbitrary<{ zone: string; day: number }> = fc
  .record({ zone: fc.constantFrom(...ZONES), year: fc.integer({ min: 1975, max: 2037 }), pick: fc.nat() })
  .map(({ zone, year, pick }) => {
    const wallAt = wallClock(zone);
    const ahead = (at: number): number => wallAt(at) - at;
    const all = Array.from({ length: 365 }, (_, i) => Date.UTC(year, 0, 1) + days(i));
    const changes = all.filter((day) => ahead(day) !== ahead(day + days(1)));
    const chosen = pick % 4 > 0 && changes.length > 0 ? changes : all;
    return { zone, day: chosen[pick % chosen.length] ?? 0 };
  });

const numbers = (min: number, max: number): fc.Arbitrary<number[]> =>
  fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 4 });

it('opens windows as a cron daemon would, in all zones and years, over every change of the clocks', () => {
  const hour = fc.option(fc.oneof(numbers(0, 4), numbers(0, 23)), { nil: undefined, freq: 4 });
  const minute = fc.option(fc.oneof(numbers(0, 0), numbers(30, 30), numbers(0, 59)), { nil: undefined, freq: 4 });
  const weekday = fc.option(numbers(0, 6), { nil: undefined, freq: 1 });
  fc.assert(
    fc.property(place, hour, minute, weekday, ({ zone, day }, hours, everyMinutes, weekdays) => {
      const text = (list: readonly number[] | undefined): string => list?.join(',') ?? '*';
      const matches = (wall: number): boolean => {
        const date = new Date(wall);
        return (
          (hours?.includes(date.getUTCHours()) ?? true) &&
          (everyMinutes?.includes(date.getUTCMinutes()) ?? true) &&
          (weekdays?.includes(date.getUTCDay()) ?? true)
        );
      };
      const [from, to] = [day - days(1), day + days(2)];
      const times = new CronTimes(`${text(everyMinutes)} ${text(hours)} * * ${text(weekdays)}`, zone);
      expect(times.between(from, to)).toEqual(daemon(matches, hours === undefined, zone, from, to));
    }),
    { numRuns: 150 },
  );
});
