import { z } from 'zod';
import { hasCode } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { parseSelector } from '#hub/fleet/decide/selector.js';
import { isTimeZone } from '#hub/fleet/decide/time-zone.js';

/** A share as `"5%"` or as a number from 0 to 1; a number from 0 to 1 comes out. */
export const shareSchema = z.union(
  [
    z.number().min(0).max(1),
    z
      .string()
      .regex(/^\d{1,3}(\.\d{1,6})?%$/)
      .transform((text) => Number(text.slice(0, -1)) / 100)
      .pipe(z.number().max(1, 'at most 100%')),
  ],
  'a percentage such as "5%", or a number from 0 to 1',
);

/** The same, above 0. */
export const positiveShareSchema = shareSchema.refine((share) => share > 0, 'must be above 0');

/** Name of a saved cohort. */
export const cohortNameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and "-", at most 63');

export const selectorSchema = z
  .string()
  .max(LIMITS.selectorLength)
  .superRefine((text, context) => {
    try {
      parseSelector(text);
    } catch (thrown) {
      if (!hasCode(thrown, 'SELECTOR_INVALID')) throw thrown;
      context.addIssue({ code: 'custom', message: thrown.message });
    }
  });

/** A selector as text, or `{ saved: name }`. */
export const cohortSchema = z.union([selectorSchema, z.strictObject({ saved: cohortNameSchema })]);
export type Cohort = z.infer<typeof cohortSchema>;

export const timeZoneSchema = z.string().max(64).refine(isTimeZone, 'an IANA time zone such as "Europe/Berlin"');
