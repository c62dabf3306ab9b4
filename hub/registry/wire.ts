import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { roleNameSchema } from '#shared/trust/update.js';

const base64Of = (bytes: number): z.ZodType<string> => z.base64().max(Math.ceil(bytes / 3) * 4);

/**
 * Body of `POST /api/v1/models/{model}/versions`. Beside it a publisher uses `PUT /api/v1/trust/root` and `PUT
 * /api/v1/trust/targets`, whose body is a `TrustUpdateJson` (shared/trust/update.ts).
 */
export const publishBodySchema = z.strictObject({
  /** Canonical manifest bytes, base64. */
  manifest: base64Of(LIMITS.manifestBytes),
  /** The publisher's targets role. */
  role: roleNameSchema,
  /** The role's next signed targets file, base64: it lists the manifest. */
  targets: base64Of(LIMITS.trustFileBytes),
});
export type PublishBody = z.infer<typeof publishBodySchema>;

/** Bytes of a publish body at most: both files in base64, and their names. */
export const PUBLISH_BODY_BYTES = Math.ceil(((LIMITS.manifestBytes + LIMITS.trustFileBytes) * 4) / 3) + 4096;

/** Names under which metadata is read: as stored (`3.root.json`), or the newest of a role (`root.json`, `alice.json`). */
export const metadataFileSchema = z
  .string()
  .max(160)
  .regex(/^[a-z0-9._-]{1,155}\.json$/, 'the name of a metadata file');
