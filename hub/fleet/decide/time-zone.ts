import { SkerryError } from '#shared/kernel/errors.js';
import type { Labels } from '#shared/protocol/device.js';

/** Label with a device's IANA time zone, "/" written as "." (`Europe.Berlin`: label values have no slash), for windows in device-local time. */
export const TIME_ZONE_LABEL = 'skerry/time-zone';

/** True for a name of the IANA time zone database, whatever its case. An offset such as "+01:00" is none: only newer Node versions read it. */
export function isTimeZone(name: string): boolean {
  if (!/^[a-z]/i.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** What a device's label says of its time zone. `unknown` is the label's text when no such zone exists; without a label both are absent. */
export function timeZoneOf(labels: Readonly<Labels>): { readonly zone?: string; readonly unknown?: string } {
  const text = labels[TIME_ZONE_LABEL];
  if (text === undefined) return {};
  const zone = text.replaceAll('.', '/');
  return isTimeZone(zone) ? { zone: zone.toLowerCase() } : { unknown: text };
}

/** Refuses labels that name a time zone there is none of, with `LABEL_TIME_ZONE`. */
export function requireTimeZone(labels: Readonly<Record<string, string | null>>): void {
  const text = labels[TIME_ZONE_LABEL];
  if (typeof text !== 'string' || timeZoneOf({ [TIME_ZONE_LABEL]: text }).zone !== undefined) return;
  throw new SkerryError('LABEL_TIME_ZONE', `the label ${TIME_ZONE_LABEL}=${text} is not a time zone`, {
    details: { label: TIME_ZONE_LABEL, value: text },
  });
}
