import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { openObject } from '#shared/kernel/open-object.js';
import { digestSchema } from './names.js';

// What the manifests of models and of agent releases have in common.

export const MANIFEST_SCHEMA = 'skerry.manifest/1';

/** `[digest, length]` of one chunk, in file order. */
const chunkSchema = z.tuple([digestSchema, z.int().min(1).max(LIMITS.chunkMaxBytes)]);

export const artifactSchema = openObject({
  digest: digestSchema,
  length: z.int().min(1).max(LIMITS.artifactBytes),
  chunks: z.array(chunkSchema).min(1),
}).refine((artifact) => artifact.chunks.reduce((sum, [, length]) => sum + length, 0) === artifact.length, {
  message: 'the chunk lengths do not add up to the length of the artifact',
  path: ['chunks'],
});
export type Artifact = z.infer<typeof artifactSchema>;

/** What a check of artifacts looks at. */
interface NamesArtifacts {
  readonly artifacts: readonly Artifact[];
}

/** Every artifact stands in the list once. */
export function checkArtifactList(manifest: NamesArtifacts, context: z.RefinementCtx): void {
  if (new Set(manifest.artifacts.map((artifact) => artifact.digest)).size === manifest.artifacts.length) return;
  context.addIssue({ code: 'custom', path: ['artifacts'], message: 'an artifact is listed twice' });
}

/** No two items of a list bear the same name. */
export function checkUniqueNames(items: readonly { readonly name: string }[], path: string, context: z.RefinementCtx): void {
  if (new Set(items.map((item) => item.name)).size === items.length) return;
  context.addIssue({ code: 'custom', path: [path], message: 'a name is used twice' });
}

/** Every item's file stands in the list of artifacts. */
export function checkNamesListed(
  items: readonly { readonly artifact: string }[],
  path: string,
  manifest: NamesArtifacts,
  context: z.RefinementCtx,
): void {
  const artifacts = new Set<string>(manifest.artifacts.map((artifact) => artifact.digest));
  for (const [index, item] of items.entries()) {
    if (artifacts.has(item.artifact)) continue;
    context.addIssue({ code: 'custom', path: [path, index, 'artifact'], message: 'names an artifact that is not listed' });
  }
}
