import type { ArtifactStorage } from '#hub/store/artifacts.js';
import { type AgentManifest, agentVariantName } from '#shared/bundle/agent-manifest.js';
import { EXECUTABLE_HEADER_BYTES, readExecutableHeader } from '#shared/bundle/executable-header.js';
import { SkerryError } from '#shared/kernel/errors.js';

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
