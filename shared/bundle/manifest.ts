import { z } from 'zod';
import { agentManifestSchema } from './agent-manifest.js';
import { modelManifestSchema } from './model-manifest.js';
import { modelNameSchema, versionNumberSchema } from './names.js';

/** The signed description of a version: of a model (no `kind`), or of the agent itself. */
export const manifestSchema = z.discriminatedUnion('kind', [modelManifestSchema, agentManifestSchema]);
export type Manifest = z.infer<typeof manifestSchema>;

/** What the targets metadata says beside length and hashes (TUF 4.5, `custom`). */
export const manifestTargetCustomSchema = z.object({
  model: modelNameSchema,
  version: versionNumberSchema,
  /** Versions of this model below it are never installed, even by rollback; the highest signed value counts. */
  minimumVersion: versionNumberSchema,
  publishedAt: z.iso.datetime({ offset: true }),
});
export type ManifestTargetCustom = z.infer<typeof manifestTargetCustomSchema>;
