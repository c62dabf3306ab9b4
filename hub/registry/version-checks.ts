import type { ArtifactStorage } from '#hub/store/artifacts.js';
import type { AgentManifest } from '#shared/bundle/agent-manifest.js';
import { digestOf } from '#shared/bundle/digest.js';
import { byKind } from '#shared/bundle/kinds.js';
import type { Manifest } from '#shared/bundle/manifest.js';
import type { ModelManifest } from '#shared/bundle/model-manifest.js';
import { decodeManifest } from '#shared/bundle/manifest-codec.js';
import type { ModelName } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { checkExecutables } from './agent-check.js';
import { checkArtifact } from './artifact-check.js';
import { checkGoldenSample } from './golden-check.js';
import { checkReleaseFree, type StoredVersions } from './release-check.js';

/** A manifest read and found to fit the place it was sent to. */
export interface Candidate {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  readonly digest: string;
}

/** Reads manifest bytes sent for `model`: canonical form, schema, name. */
export function readCandidate(model: ModelName, bytes: Uint8Array): Candidate {
  const manifest = decodeManifest(bytes);
  if (manifest.model !== model) {
    throw new SkerryError('MANIFEST_MISMATCH', `the manifest is for model "${manifest.model}" and was sent to "${model}"`);
  }
  return { manifest, bytes, digest: digestOf(bytes) };
}

interface CheckDeps {
  readonly store: StoredVersions;
  readonly storage: ArtifactStorage;
}

/** Every check of a candidate's content, in order; the first that does not hold throws. What the publisher checked is checked again. */
export async function checkContent({ manifest }: Candidate, { store, storage }: CheckDeps): Promise<void> {
  await checkPresence(manifest, storage);
  for (const artifact of manifest.artifacts) await checkArtifact(storage, artifact);
  await byKind(manifest, {
    model: (model: ModelManifest) => checkGoldenSamples(model, storage),
    agent: async (release: AgentManifest) => {
      await checkReleaseFree(release, store);
      await checkExecutables(release, storage);
    },
  });
}

async function checkPresence(manifest: Manifest, storage: ArtifactStorage): Promise<void> {
  const missing = [];
  for (const { digest, length } of manifest.artifacts) {
    const have = await storage.length(digest);
    if (have !== length) missing.push({ digest, length, have: have ?? null });
  }
  if (missing.length > 0) {
    throw new SkerryError('ARTIFACT_MISSING', `${missing.length} of ${manifest.artifacts.length} artifacts are not here`, {
      details: { missing },
    });
  }
}

async function checkGoldenSamples(manifest: ModelManifest, storage: ArtifactStorage): Promise<void> {
  for (const sample of manifest.goldenSamples) {
    const length = manifest.artifacts.find((artifact) => artifact.digest === sample.artifact)?.length ?? 0;
    if (length > LIMITS.goldenSampleBytes) {
      throw new SkerryError(
        'INPUT_TOO_LARGE',
        `golden sample ${sample.name} has ${length} bytes, at most ${LIMITS.goldenSampleBytes} are accepted`,
      );
    }
    checkGoldenSample(await storage.readRange(sample.artifact, 0, length), sample, manifest);
  }
}
