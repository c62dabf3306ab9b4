import type { ArtifactStorage } from '#hub/store/artifacts.js';
import { type AgentManifest, agentVariantName } from '#shared/bundle/agent-manifest.js';
import { EXECUTABLE_HEADER_BYTES, readExecutableHeader } from '#shared/bundle/executable-header.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { VersionStore } from './version-store.js';

/**
 * Checks that every file of a release of the agent is a program for the platform its variant names, by its header and not by
 * what it is called. Throws `AGENT_EXECUTABLE_INVALID`, or `MANIFEST_MISMATCH` for a program made for another platform.
 */
export async function checkExecutables(manifest: AgentManifest, storage: ArtifactStorage): Promise<void> {
  for (const variant of manifest.variants) {
    const length = manifest.artifacts.find((artifact) => artifact.digest === variant.artifact)?.length ?? 0;
    const header = readExecutableHeader(await storage.readRange(variant.artifact, 0, Math.min(length, EXECUTABLE_HEADER_BYTES)));
    if (header.kind !== 'executable') {
      throw new SkerryError('AGENT_EXECUTABLE_INVALID', `the file of variant ${variant.name} is no agent: ${header.why}`);
    }
    const actual = agentVariantName(header);
    if (actual === variant.name) continue;
    throw new SkerryError('MANIFEST_MISMATCH', `the file of variant ${variant.name} is a program for ${actual}`);
  }
}

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
