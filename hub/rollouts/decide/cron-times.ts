import { parse } from 'node-cron';
import { days, type EpochMillis, hours, type Millis, minutes, seconds } from '#shared/kernel/time.js';

// When a cron expression opens a window in a time zone, changes of the clocks included. Pure.

/** A stretch of time: from the first moment to before the last. */
export interface Span {
  readonly from: EpochMillis;
  readonly to: EpochMillis;
}

/** No time zone is further from UTC than this, east or west (IANA time zone database, 1970 and later). */
const FURTHEST_EAST = hours(15);
const FURTHEST_WEST = hours(13);

/**
 * Openings of one cron expression in one time zone. Around a change of the clocks it does what cron(8) does: an opening that the clocks
 * skip comes right after the gap, one that they show twice comes once, the first time. An expression that names every hour goes by the
 * hours as they pass: then both count.
 */
export class CronTimes {
  readonly #fields: ReturnType<typeof parse>;
  readonly #offsets: ZoneOffsets;

  constructor(cron: string, timeZone: string) {
    this.#fields = parse(cron);
    this.#offsets = new ZoneOffsets(timeZone);
  }

  /** Openings in [from, to), in order. */
  between(from: EpochMillis, to: EpochMillis): EpochMillis[] {
    const found = new Set<EpochMillis>();
    for (let day = dayOf(from - FURTHEST_WEST); day <= to + FURTHEST_EAST; day += days(1)) {
      for (const at of this.#ofDay(day)) if (at >= from && at < to) found.add(at);
    }
    return [...found].toSorted((a, b) => a - b);
  }

  /** The first opening at `from` or later and before `until`. */
  first(from: EpochMillis, until: EpochMillis): EpochMillis | undefined {
    for (let start = from; start < until; start += days(1)) {
      const [at] = this.between(start, Math.min(until, start + days(1)));
      if (at !== undefined) return at;
    }
    return undefined;
  }

  /** Openings of a day of the calendar, given by its midnight as if it were UTC. */
  #ofDay(day: EpochMillis): EpochMillis[] {
    if (!matchesDay(this.#fields, day)) return [];
    const { hour, minute } = this.#fields;
    const walls = hour.flatMap((h) => minute.map((m) => day + hours(h) + minutes(m)));
    const change = this.#offsets.changeBetween(day - FURTHEST_EAST, day + days(1) + FURTHEST_WEST);
    if (typeof change === 'number') return walls.map((wall) => wall - change);
    const everyHour = new Set(hour).size === 24;
    return walls.flatMap((wall) => {
      const [early, late] = [wall - change.before, wall - change.after];
      if (early < change.at) return late >= change.at && everyHour ? [early, late] : [early];
      return [Math.max(late, change.at)];
    });
  }
}

/** False for an expression that names no day there is, such as the 30th of February. */
export function opensEver(cron: string): boolean {
  const fields = parse(cron);
  // Weekdays and leap years repeat within 40 years, also over a century without its leap day.
  const first = Date.UTC(2096, 0, 1);
  for (let day = first; day < first + days(40 * 366); day += days(1)) if (matchesDay(fields, day)) return true;
  return false;
}

/** Stretches in order, those that touch joined. */
export function joined(spans: readonly Span[]): Span[] {
  const out: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const last = out.at(-1);
    if (last !== undefined && span.from <= last.to) out[out.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else out.push(span);
  }
  return out;
}

/** What lies in both; each in order and joined. */
export function overlap(a: readonly Span[], b: readonly Span[]): Span[] {
  const out: Span[] = [];
  for (const one of a) {
    for (const other of b) {
      const from = Math.max(one.from, other.from);
      const to = Math.min(one.to, other.to);
      if (from < to) out.push({ from, to });
    }
  }
  return out;
}

function matchesDay({ dayOfMonth, month, dayOfWeek }: ReturnType<typeof parse>, day: EpochMillis): boolean {
  const date = new Date(day);
  return month.includes(date.getUTCMonth() + 1) && dayOfMonth.includes(date.getUTCDate()) && dayOfWeek.includes(date.getUTCDay());
}

function dayOf(wall: EpochMillis): EpochMillis {
  return Math.floor(wall / days(1)) * days(1);
}

/** A change of the clocks: what they are ahead of UTC before and after, and the first moment after. */
interface Change {
  readonly at: EpochMillis;
  readonly before: Millis;
  readonly after: Millis;
}

/** How far a time zone is ahead of UTC. */
class ZoneOffsets {
  readonly #format: Intl.DateTimeFormat;

  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('en-GB', { timeZone, hourCycle: 'h23', ...PARTS });
  }

  at(time: EpochMillis): Millis {
    const parts = new Map(this.#format.formatToParts(time).map((part) => [part.type, Number(part.value)]));
    const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
    const wall = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
    return wall - Math.floor(time / seconds(1)) * seconds(1);
  }

  /** The change of the clocks within two days; the one offset where there is none. No zone changed twice so soon since 1970. */
  changeBetween(from: EpochMillis, to: EpochMillis): Change | Millis {
    const before = this.at(from);
    const after = this.at(to);
    if (before === after) return before;
    const second = seconds(1);
    let [low, high] = [Math.floor(from / second), Math.ceil(to / second)];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.at(middle * second) === before) low = middle;
      else high = middle;
    }
    return { at: high * second, before, after };
  }
}

const PARTS = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' } as const;
