import { z } from 'zod';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { INSTALL_STATES } from '#shared/protocol/messages.js';

// Rows as the tables hold them; what is read back is narrowed like any other input (R7).

export const versionRow = z.object({
  model: modelNameSchema,
  version: versionNumberSchema,
  manifest: digestSchema,
  install: z.enum(INSTALL_STATES),
  boots: z.int().min(0),
  attempt: z.int().min(0),
  error_code: z.string().nullable(),
  error_message: z.string().nullable(),
  last_used_at: z.number(),
});

export const servingRow = z.object({
  model: modelNameSchema,
  serving: versionNumberSchema,
  last_known_good: versionNumberSchema.nullable(),
});

export const outboxRow = z.object({
  seq: z.int().min(1),
  boot: z.int().min(1),
  kind: z.enum(['event', 'telemetry']),
  payload: z.instanceof(Uint8Array),
});
