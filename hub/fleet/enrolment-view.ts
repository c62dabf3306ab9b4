import { z } from 'zod';
import { days, hours, seconds } from '#shared/kernel/time.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { deviceIdSchema, labelsSchema } from '#shared/protocol/device.js';

// What the API says about enrolment tokens; routes declare it, clients check by it.

/** An enrolment token as it may be shown: never its secret. */
export const enrolmentTokenViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  labels: labelsSchema,
  uses: z.int(),
  maxUses: z.int(),
  expiresAt: z.iso.datetime(),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  revokedAt: z.iso.datetime().nullable(),
  device: deviceIdSchema
    .nullable()
    .meta({ description: 'The only device it lets in, in place of the one that had the name; null for new devices.' }),
});
export type EnrolmentTokenView = z.infer<typeof enrolmentTokenViewSchema>;

export const createdEnrolmentTokenSchema = enrolmentTokenViewSchema.extend({ token: z.string() });
export type CreatedEnrolmentToken = z.infer<typeof createdEnrolmentTokenSchema>;

export const enrolmentTokenListSchema = z.object({ tokens: z.array(enrolmentTokenViewSchema) });

export const newEnrolmentTokenSchema = z.strictObject({
  name: z.string().min(1).max(LIMITS.nameLength),
  /** Given to every device that enrols with it. */
  labels: labelsSchema.default({}),
  /** Devices it lets in. */
  maxUses: z.int().min(1).max(1_000_000).default(1),
  /** Seconds it is good for (default one hour). */
  expiresInSeconds: z
    .int()
    .min(1)
    .max(31_536_000)
    .default(hours(1) / seconds(1)),
});

/** Body of `POST /api/v1/devices/{device}/replacement`. */
export const newReplacementSchema = z.strictObject({
  /** Also where the device is connected: it is cut off once the new one enrols. */
  evenIfOnline: z.boolean().default(false),
  /** Seconds the token is good for (default one day). */
  expiresInSeconds: z
    .int()
    .min(1)
    .max(31_536_000)
    .default(days(1) / seconds(1)),
});
