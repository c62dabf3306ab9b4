import type { AgentManifest } from '#shared/bundle/agent-manifest.js';
import { byKind } from '#shared/bundle/kinds.js';
import type { Manifest } from '#shared/bundle/manifest.js';
import type { ModelName } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';

/** What is published already. */
export interface StoredVersions {
  ofModel(model: ModelName): Promise<readonly { readonly model: string; readonly version: number; readonly manifest_digest: string }[]>;
  document(manifestDigest: string): Promise<Manifest | undefined>;
}

/** One release is one content: what devices report as 0.4.0 is the same program everywhere. Throws `VERSION_CONFLICT`. */
export async function checkReleaseFree(manifest: AgentManifest, store: StoredVersions): Promise<void> {
  for (const row of await store.ofModel(manifest.model)) {
    const document = await store.document(row.manifest_digest);
    if (document === undefined || releaseOf(document) !== manifest.release) continue;
    throw new SkerryError('VERSION_CONFLICT', `release ${manifest.release} is ${row.model}@${row.version}, with other content`, {
      details: { release: manifest.release, version: row.version },
    });
  }
}

function releaseOf(manifest: Manifest): string | undefined {
  return byKind(manifest, { model: () => undefined, agent: ({ release }: AgentManifest) => release });
}
