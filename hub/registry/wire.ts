import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { versionNumberSchema } from '#shared/bundle/names.js';
import { roleNameSchema, targetsRoleSchema } from '#shared/trust/role-name.js';

const base64Of = (bytes: number): z.ZodType<string> => z.base64().max(Math.ceil(bytes / 3) * 4);

/**
 * Body of `POST /api/v1/models/{model}/versions`. Beside it a publisher uses `PUT /api/v1/trust/root` and `PUT
 * /api/v1/trust/targets`, whose body is a `TrustUpdateJson` (shared/trust/update.ts).
 */
export const publishBodySchema = z.strictObject({
  /** Canonical manifest bytes, base64. */
  manifest: base64Of(LIMITS.manifestBytes),
  /** The publisher. */
  role: roleNameSchema,
  /** The next signed targets files, base64, by role: that of the model, which lists the manifest, and the publisher's where it changed. */
  files: z
    .record(targetsRoleSchema, base64Of(LIMITS.trustFileBytes))
    .refine((files) => Object.keys(files).length <= 2, 'at most two files'),
});

/** Versions retired by one request. */
const MAX_RETIRED = 10_000;

/** Body of `POST /api/v1/models/{model}/retire`: with `dryRun` only the versions, else the signed file that retires them. */
export const retireBodySchema = z.strictObject({
  versions: z.array(versionNumberSchema).min(1).max(MAX_RETIRED),
  dryRun: z.boolean().optional(),
  role: roleNameSchema.optional(),
  files: z.record(targetsRoleSchema, base64Of(LIMITS.trustFileBytes)).optional(),
});

/** Bytes of a publish body at most: all files in base64, and their names. */
export const PUBLISH_BODY_BYTES = Math.ceil(((LIMITS.manifestBytes + 2 * LIMITS.trustFileBytes) * 4) / 3) + 4096;

/** Names under which metadata is read: as stored (`3.root.json`), or the newest of a role (`root.json`, `alice.json`). */
export const metadataFileSchema = z
  .string()
  .max(229)
  .regex(/^[a-z0-9._-]{1,224}\.json$/, 'the name of a metadata file');
