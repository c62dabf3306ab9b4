import { z } from 'zod';
import { featureListSchema } from '#shared/bundle/features.js';
import { versionNumberSchema } from '#shared/bundle/names.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { openObject } from '#shared/kernel/open-object.js';

/** What names may be, as errors and help texts say it. */
export const DEVICE_ID_RULE = 'lower-case letters, digits and "-", at most 63';
const LABEL_RULE = 'letters, digits, ".", "_" and "-", at most 63, starting and ending with a letter or digit';
export const LABELS_RULE = `keys and values of ${LABEL_RULE}; a value may be empty, a key may have a DNS prefix and "/"`;

export const deviceIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, DEVICE_ID_RULE)
  .brand<'DeviceId'>();
export type DeviceId = z.infer<typeof deviceIdSchema>;

export const fleetIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,30}$/, 'lower-case letters, digits and "-", at most 31')
  .brand<'FleetId'>();
export type FleetId = z.infer<typeof fleetIdSchema>;

/** Kubernetes label grammar: optional DNS prefix, then at most 63 characters. */
export const labelKeySchema = z
  .string()
  .regex(/^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/, LABEL_RULE);
export const labelValueSchema = z.string().regex(/^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/, LABEL_RULE);
export const labelsSchema = z
  .record(labelKeySchema, labelValueSchema)
  .refine((labels) => Object.keys(labels).length <= LIMITS.labelsPerDevice, `at most ${LIMITS.labelsPerDevice} labels`);
export type Labels = z.infer<typeof labelsSchema>;

/** Whether an agent can replace itself by another release. */
export const selfUpdateSchema = openObject({
  able: z.boolean(),
  /** Why not: it runs from source, or nothing would start the next one. */
  reason: z.string().max(256).optional(),
  /** Counter of the release that runs; left out, or `PACKAGED_RELEASE`, by one that came with a package. */
  release: versionNumberSchema.optional(),
});
export type SelfUpdate = z.infer<typeof selfUpdateSchema>;

/** What a device can do; said at enrolment and in every report. */
export const capabilitiesSchema = openObject({
  os: z.string().max(32),
  arch: z.string().max(32),
  cpus: z.int().min(1),
  memoryBytes: z.int().min(0),
  /** Execution providers the runtime on this device offers. */
  providers: z.array(z.string().max(32)).max(32),
  runtime: openObject({ name: z.string().max(64), version: z.string().max(64) }),
  selfUpdate: selfUpdateSchema.optional(),
  /** What the agent understands beyond the first form of its documents (shared/bundle/features.ts); left out by agents before there were any. */
  features: featureListSchema.optional(),
});
export type Capabilities = z.infer<typeof capabilitiesSchema>;
