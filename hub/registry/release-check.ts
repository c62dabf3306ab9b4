import type { AgentManifest } from '#shared/bundle/agent-manifest.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { VersionStore } from './version-store.js';

/** One release is one content: what devices report as 0.4.0 is the same program everywhere. Throws `VERSION_CONFLICT`. */
export async function checkReleaseFree(manifest: AgentManifest, store: VersionStore): Promise<void> {
  for (const row of await store.ofModel(manifest.model)) {
    const document = await store.document(row.manifest_digest);
    if (document?.kind !== 'agent' || document.release !== manifest.release) continue;
    throw new SkerryError('VERSION_CONFLICT', `release ${manifest.release} is ${row.model}@${row.version}, with other content`, {
      details: { release: manifest.release, version: row.version },
    });
  }
}
