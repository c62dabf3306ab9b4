import { z } from 'zod';
import type { Millis } from './time.js';

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** Reads `90s`, `1h30m`, `2d`: whole numbers with units d, h, m, s, ms, largest first. `undefined` for anything else. */
export function parseDuration(text: string): Millis | undefined {
  const match = /^(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?(?:(\d{1,12})ms)?$/.exec(text);
  if (match === null || text === '') return undefined;
  return UNITS.reduce((sum, [, millis], i) => sum + Number(match[i + 1] ?? 0) * millis, 0);
}

/** Writes a duration so that `parseDuration` reads it back: 5400000 as `1h30m`, 0 as `0s`. */
export function formatDuration(duration: Millis): string {
  let rest = Math.max(0, Math.round(duration));
  let text = '';
  for (const [unit, millis] of UNITS) {
    const count = Math.floor(rest / millis);
    rest -= count * millis;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === '' ? '0s' : text;
}

/** A duration in a document or request: text in, milliseconds out. */
export const durationSchema = z
  .string()
  .max(32)
  .transform((text, context): Millis => {
    const value = parseDuration(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: 'a duration such as "90s", "30m" or "1h30m"' });
    return z.NEVER;
  });
