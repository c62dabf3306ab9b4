import { parse, validateDetailed } from 'node-cron';
import { z } from 'zod';
import { days, type EpochMillis, minutes } from '#shared/kernel/clock.js';
import { durationSchema } from '#shared/kernel/duration.js';
import type { Labels } from '#shared/protocol/device.js';
import { isTimeZone, timeZoneSchema } from './document-parts.js';

/** Label with a device's IANA time zone, "/" written as "." (`Europe.Berlin`: label values have no slash), for windows in device-local time. */
export const TIME_ZONE_LABEL = 'skerry/time-zone';

const cronSchema = z
  .string()
  .max(128)
  .superRefine((text, context) => {
    const checked = validateDetailed(text);
    for (const error of checked.errors) context.addIssue({ code: 'custom', message: `${error.field}: ${error.message}` });
    if (checked.fields === undefined) return;
    if (checked.fields.second.join() !== '0')
      context.addIssue({ code: 'custom', message: 'a window opens at a minute: five fields, no seconds' });
    if ([...checked.fields.dayOfMonth, ...checked.fields.dayOfWeek].some((day) => typeof day !== 'number')) {
      context.addIssue({ code: 'custom', message: 'days are numbers, lists and ranges only' });
    }
  });

/** A recurring time in which devices may be told: it opens at every minute the cron expression matches, and lasts. */
export const windowSchema = z.strictObject({
  cron: cronSchema,
  lasts: durationSchema.refine((lasts) => lasts >= minutes(1) && lasts <= days(7), 'between 1m and 7d'),
  /** `device`: in each device's own time, from its label `skerry/time-zone`; a device without one counts as in `timeZone`. */
  time: z.enum(['hub', 'device']).default('hub'),
  timeZone: timeZoneSchema.default('UTC'),
});
export type Window = z.infer<typeof windowSchema>;

export const scheduleSchema = z.strictObject({
  /** Not before this time. */
  start: z.iso.datetime({ offset: true }).optional(),
  windows: z.array(windowSchema).max(16).default([]),
});
export type Schedule = z.infer<typeof scheduleSchema>;

/** True when the hub may begin a wave now: after the start, and inside a window unless there are none or all are device-local. */
export function hubMayAct(schedule: Schedule, now: EpochMillis): boolean {
  if (schedule.start !== undefined && now < Date.parse(schedule.start)) return false;
  const windows = schedule.windows.filter((window) => window.time === 'hub');
  return windows.length === 0 || windows.some((window) => isOpen(window, window.timeZone, now));
}

/**
 * Tells of a device's labels whether it may be told now by the windows in its own time; without such windows always. What a time zone
 * comes to is worked out once, for a fleet has few of them.
 */
export function deviceMayBeTold(schedule: Schedule, now: EpochMillis): (labels: Readonly<Labels>) => boolean {
  const windows = schedule.windows.filter((window) => window.time === 'device');
  if (windows.length === 0) return () => true;
  const known = new Map<string, boolean>();
  return (labels) => {
    const name = labels[TIME_ZONE_LABEL]?.replaceAll('.', '/').toLowerCase() ?? '';
    const before = known.get(name);
    if (before !== undefined) return before;
    const named = isTimeZone(name) ? name : undefined;
    const open = windows.some((window) => isOpen(window, named ?? window.timeZone, now));
    known.set(name, open);
    return open;
  };
}

/** When a window opened at or before `now` and lasts still. Wall-clock minutes are looked at back to `now - lasts`. */
function isOpen(window: Window, timeZone: string, now: EpochMillis): boolean {
  const fields = parse(window.cron);
  const localAt = localMinutes(new Intl.DateTimeFormat('en-GB', { timeZone, hourCycle: 'h23', ...PARTS }));
  const minute = Math.floor(now / minutes(1)) * minutes(1);
  for (let at = minute; at > now - window.lasts; at -= minutes(1)) {
    const local = localAt(at);
    const opens =
      fields.minute.includes(local.minute) &&
      fields.hour.includes(local.hour) &&
      fields.dayOfMonth.includes(local.day) &&
      fields.month.includes(local.month) &&
      fields.dayOfWeek.includes(local.weekday);
    if (opens) return true;
  }
  return false;
}

const PARTS = { minute: '2-digit', hour: '2-digit', day: '2-digit', month: '2-digit', weekday: 'short' } as const;
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

interface LocalFields {
  readonly minute: number;
  readonly hour: number;
  readonly day: number;
  readonly month: number;
  readonly weekday: number;
}

/** The same, asking the calendar once a quarter of an hour: no time zone of today is off by less, or changes within one. */
function localMinutes(clock: Intl.DateTimeFormat): (at: EpochMillis) => LocalFields {
  let quarter = Number.NaN;
  let base: LocalFields | undefined;
  return (at) => {
    const start = Math.floor(at / QUARTER) * QUARTER;
    if (base === undefined || start !== quarter) {
      base = localFields(clock, start);
      quarter = start;
    }
    const minute = base.minute + (at - start) / minutes(1);
    return minute < 60 ? { ...base, minute } : localFields(clock, at);
  };
}

const QUARTER = minutes(15);

function localFields(clock: Intl.DateTimeFormat, at: EpochMillis): LocalFields {
  const parts = new Map(clock.formatToParts(at).map((part) => [part.type, part.value]));
  return {
    minute: Number(parts.get('minute')),
    hour: Number(parts.get('hour')),
    day: Number(parts.get('day')),
    month: Number(parts.get('month')),
    weekday: WEEKDAYS.indexOf(parts.get('weekday') ?? ''),
  };
}
