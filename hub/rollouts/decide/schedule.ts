import { validateDetailed } from 'node-cron';
import { z } from 'zod';
import { days, type EpochMillis, type Millis, minutes } from '#shared/kernel/time.js';
import { durationSchema } from '#shared/kernel/duration.js';
import type { Labels } from '#shared/protocol/device.js';
import { TIME_ZONE_LABEL, timeZoneOf } from '#hub/fleet/decide/time-zone.js';
import { CronTimes, joined, opensEver, overlap, type Span } from './cron-times.js';
import { timeZoneSchema } from '../document-parts.js';

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
    } else if (!opensEver(text)) {
      context.addIssue({ code: 'custom', message: 'names a date that does not exist' });
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
    const label = labels[TIME_ZONE_LABEL] ?? '';
    const before = known.get(label);
    if (before !== undefined) return before;
    const { zone } = timeZoneOf(labels);
    const open = windows.some((window) => isOpen(window, zone ?? window.timeZone, now));
    known.set(label, open);
    return open;
  };
}

/** Time zones of devices, as their labels say; undefined stands for those that have none, or one that does not exist. */
export type Zones = ReadonlySet<string | undefined>;

/** The zones that windows in the devices' own time have to be worked out for. */
export function zonesOf(devices: Iterable<Readonly<Labels>>): Zones {
  return new Set([...devices].map((labels) => timeZoneOf(labels).zone));
}

/** How much of the time in [from, to) the schedule let somebody be told. */
export function tellableTime(schedule: Schedule, zones: Zones, from: EpochMillis, to: EpochMillis): Millis {
  return tellableSpans(schedule, zones, from, to).reduce((sum, span) => sum + span.to - span.from, 0);
}

/** Whether somebody may be told now, and when that changes next; null when it does not, as far as can be seen. */
export interface ScheduleOutlook {
  readonly open: boolean;
  readonly changes: EpochMillis | null;
}

/** Longest that is looked ahead for a window to open: leap days may be eight years apart. */
const AHEAD = days(9 * 366);
/** Looked at in one piece once something opens, and how many such pieces: windows of hub and devices may never meet. */
const STRETCH = days(32);
const STRETCHES = 13;

/** Pure. `null` for a schedule without a start to come and without windows: somebody may be told at any time. */
export function scheduleOutlook(schedule: Schedule, zones: Zones, now: EpochMillis): ScheduleOutlook | null {
  if (schedule.windows.length === 0 && (schedule.start === undefined || Date.parse(schedule.start) <= now)) return null;
  let from = now;
  for (let i = 0; i < STRETCHES; i++) {
    const opens = firstOpening(schedule, zones, from);
    if (opens === undefined) break;
    const end = opens + STRETCH;
    const [span] = tellableSpans(schedule, zones, opens, end);
    if (span !== undefined) return outlookOf(span, now, end);
    from = end;
  }
  return { open: false, changes: null };
}

/** When the hub may begin a wave next, as far as its own windows say; null for not in sight. */
export function hubOpens(schedule: Schedule, now: EpochMillis): EpochMillis | null {
  const windows = schedule.windows.filter((window) => window.time === 'hub');
  return scheduleOutlook({ ...schedule, windows }, new Set(), now)?.changes ?? null;
}

function outlookOf(span: Span, now: EpochMillis, end: EpochMillis): ScheduleOutlook {
  if (span.from > now) return { open: false, changes: span.from };
  return { open: true, changes: span.to < end ? span.to : null };
}

/** Earliest moment from `from` on at which some window is open by itself; nothing can happen before. */
function firstOpening({ windows, start }: Schedule, zones: Zones, from: EpochMillis): EpochMillis | undefined {
  const begin = start === undefined ? from : Math.max(from, Date.parse(start));
  if (windows.length === 0) return begin;
  const times = windows.flatMap((window) =>
    zonesFor(window, zones).map((zone) => new CronTimes(window.cron, zone).first(begin - window.lasts + 1, from + AHEAD)),
  );
  const found = times.filter((at) => at !== undefined);
  return found.length === 0 ? undefined : Math.max(begin, Math.min(...found));
}

/** Stretches of [from, to) in which the hub's windows are open, and one of the zones' windows if there are such. */
function tellableSpans(schedule: Schedule, zones: Zones, from: EpochMillis, to: EpochMillis): Span[] {
  const begin = schedule.start === undefined ? from : Math.max(from, Date.parse(schedule.start));
  if (begin >= to) return [];
  const parts = (['hub', 'device'] as const).map((time) => {
    const windows = schedule.windows.filter((window) => window.time === time);
    if (windows.length === 0) return [{ from: begin, to }];
    return joined(windows.flatMap((window) => zonesFor(window, zones).flatMap((zone) => spansOf(window, zone, begin, to))));
  });
  return parts.reduce(overlap);
}

function zonesFor(window: Window, zones: Zones): string[] {
  if (window.time === 'hub' || zones.size === 0) return [window.timeZone];
  return [...new Set([...zones].map((zone) => zone ?? window.timeZone))];
}

function spansOf(window: Window, timeZone: string, from: EpochMillis, to: EpochMillis): Span[] {
  const openings = new CronTimes(window.cron, timeZone).between(from - window.lasts + 1, to);
  return openings.map((at) => ({ from: Math.max(from, at), to: Math.min(to, at + window.lasts) }));
}

/** When a window opened at or before `now` and lasts still. */
function isOpen(window: Window, timeZone: string, now: EpochMillis): boolean {
  return new CronTimes(window.cron, timeZone).between(now - window.lasts + 1, now + 1).length > 0;
}
