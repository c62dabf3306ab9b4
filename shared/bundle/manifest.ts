import { z } from 'zod';
import { agentManifestSchema } from './agent-manifest.js';
import { modelManifestSchema } from './model-manifest.js';
import { AGENT_MODEL, modelNameSchema, versionNumberSchema } from './names.js';

/** The signed description of a version: of a model (no `kind`), or of the agent itself. */
export const manifestSchema = z.discriminatedUnion('kind', [modelManifestSchema, agentManifestSchema]);
export type Manifest = z.infer<typeof manifestSchema>;

/**
 * TUF target path of a version's manifest. Releases of the agent lie in a folder of their own, which no pattern of model names
 * reaches: whoever may publish models may not thereby publish what runs them.
 */
export function manifestTargetPath(model: string, version: number): string {
  return model === AGENT_MODEL ? `agent/${version}.json` : `models/${model}/${version}.json`;
}

/** What the targets metadata says beside length and hashes (TUF 4.5, `custom`). */
export const manifestTargetCustomSchema = z.object({
  model: modelNameSchema,
  version: versionNumberSchema,
  /** Versions of this model below it are never installed, even by rollback; the highest signed value counts. */
  minimumVersion: versionNumberSchema,
  publishedAt: z.iso.datetime({ offset: true }),
});
export type ManifestTargetCustom = z.infer<typeof manifestTargetCustomSchema>;
