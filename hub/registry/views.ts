import { z } from 'zod';
import { manifestSchema } from '#shared/bundle/manifest.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';

/** Models and versions as the API shows them. */
const versionSummarySchema = z.object({
  model: modelNameSchema,
  version: versionNumberSchema,
  /** SHA-256 of the manifest. */
  manifest: digestSchema,
  /** Equal for equal content, whatever its number (shared/bundle/manifest-codec.ts). */
  contentIdentity: digestSchema,
  /** Targets role that signed for it. */
  role: z.string(),
  publishedAt: z.iso.datetime(),
  acceptedAt: z.iso.datetime(),
  /** Name of the token that uploaded it. */
  publisher: z.string(),
  /** Bytes of all its artifacts. */
  bytes: z.int(),
  variants: z.array(z.string()),
});
export type VersionSummary = z.infer<typeof versionSummarySchema>;

export const versionDetailSchema = versionSummarySchema.extend({
  /** The signed manifest, decoded. */
  document: manifestSchema,
});
export type VersionDetail = z.infer<typeof versionDetailSchema>;

const modelSummarySchema = z.object({
  name: modelNameSchema,
  createdAt: z.iso.datetime(),
  versions: z.int(),
  newest: versionNumberSchema,
  /** Versions below it are never installed. */
  minimumVersion: versionNumberSchema,
});
export type ModelSummary = z.infer<typeof modelSummarySchema>;

export const modelListSchema = z.object({ models: z.array(modelSummarySchema) });

export const modelDetailSchema = z.object({
  name: modelNameSchema,
  createdAt: z.iso.datetime(),
  minimumVersion: versionNumberSchema,
  /** Newest first. */
  versions: z.array(versionSummarySchema),
});
export type ModelDetail = z.infer<typeof modelDetailSchema>;
