import { z } from 'zod';
import { durationSchema } from '#shared/kernel/duration.js';

// What values of settings look like.

const BYTE_UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };
/** A size: a number of bytes, with or without a unit. */
export const bytes = z
  .union([z.int(), z.string().regex(/^\d{1,15}([KMGT](iB)?)?$/, 'a number of bytes such as "512M" or "4GiB"')])
  .transform((value) => {
    if (typeof value === 'number') return value;
    const [, digits, unit] = /^(\d+)([KMGT]?)/.exec(value) ?? [];
    return Number(digits) * (BYTE_UNITS[unit ?? ''] ?? 1);
  })
  .pipe(z.int().min(0));
export const file = z.string().min(1).max(4096);
export const minutesAtMost = (max: number): z.ZodType<number> =>
  durationSchema.refine((value) => value <= max * 60_000, `at most ${max} minutes`);

/** Origins as browsers write them (RFC 6454, 6.2), or `*`. */
export const origins = z
  .string()
  .max(4096)
  .transform((text) => text.split(',').map((one) => one.trim()))
  .refine(
    (list) => list.every((one) => one === '*' || (URL.canParse(one) && new URL(one).origin === one)),
    'origins such as "https://app.example", or "*"',
  );

/** Names of hosts, without ports. */
export const hosts = z
  .string()
  .max(4096)
  .transform((text) => text.split(',').map((one) => one.trim()))
  .refine((list) => list.every((one) => /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(one)), 'names of hosts such as "box.lan"');

/** Headers as OTEL_EXPORTER_OTLP_HEADERS has them: `name=value`, separated by commas. */
export const headers = z
  .string()
  .max(4096)
  .regex(/^[\w-]+=[^,\r\n]*(,[\w-]+=[^,\r\n]*)*$/, 'headers such as "api-key=secret,tenant=lab"')
  .transform((text) =>
    Object.fromEntries(text.split(',').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1).trim()])),
  );
export const ratio = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d(\.\d{1,9})?$/)
      .transform(Number),
  ])
  .refine((value) => value >= 0 && value <= 1, 'a number from 0 to 1');
/** Names, separated by commas. */
export const names = z
  .string()
  .max(1024)
  .transform((text) => text.split(',').map((one) => one.trim()))
  .refine((list) => list.every((one) => /^[a-z0-9-]+$/.test(one)), 'names separated by commas');

/** A path of the local API; a segment that begins with a colon would stand for any. */
export const route = z
  .string()
  .max(1024)
  .regex(/^(?:\/[^/:?#%\s][^/?#%\s]*)+$/, 'a path such as "/predict"');
