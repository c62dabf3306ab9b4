import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { ROLES } from '#hub/kernel/roles.js';

// What the API says about itself, its tokens and its audit log; routes declare it, clients check by it.

const time = z.iso.datetime().nullable();

/** A token as it may be shown: never its secret. */
export const apiTokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  expiresAt: time,
  revokedAt: time,
});
export type ApiToken = z.infer<typeof apiTokenSchema>;
export const apiTokenListSchema = z.object({ tokens: z.array(apiTokenSchema) });

/** The one answer that has the secret. */
export const createdTokenSchema = apiTokenSchema.extend({ token: z.string() });
export type CreatedToken = z.infer<typeof createdTokenSchema>;

export const newTokenSchema = z.strictObject({
  name: z.string().min(1).max(LIMITS.nameLength),
  role: z.enum(ROLES),
  /** Seconds it is good for; for ever when left out. */
  expiresInSeconds: z.int().min(1).max(315_360_000).optional(),
});

export const whoAmISchema = z.object({ id: z.string(), name: z.string(), role: z.enum(ROLES) });

const AUDIT_OUTCOMES = ['ok', 'refused', 'failed'] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

const auditRecordSchema = z.object({
  id: z.int(),
  at: z.iso.datetime(),
  actor: z.string(),
  tokenId: z.string().nullable(),
  action: z.string(),
  target: z.string(),
  source: z.string(),
  outcome: z.enum(AUDIT_OUTCOMES),
  code: z.string().nullable(),
  requestId: z.string(),
  detail: z.record(z.string(), z.unknown()).nullable(),
});
export type AuditRecord = z.infer<typeof auditRecordSchema>;
export const auditListSchema = z.object({ records: z.array(auditRecordSchema) });
