import type { ModelManifest } from '#shared/bundle/model-manifest.js';
import type { Digest } from '#shared/bundle/names.js';
import type { ServableSpec } from '#agent/inference/contract.js';
import type { BlobStore } from '#agent/store/contract.js';
import { type Machine, usableVariants } from './variants.js';

/** What the runtime needs of a complete version: paths of the variants this machine can run and of the golden samples. */
export function servableSpec(manifest: ModelManifest, digest: Digest, blobs: Pick<BlobStore, 'path'>, machine: Machine): ServableSpec {
  return {
    model: manifest.model,
    version: manifest.version,
    manifest: digest,
    inputs: manifest.inputs,
    outputs: manifest.outputs,
    variants: usableVariants(manifest, machine).map(({ name, artifact, requires }) => ({
      name,
      file: blobs.path(artifact),
      digest: artifact,
      providers: requires.providers,
      ...(requires.memoryBytes === undefined ? {} : { memoryBytes: requires.memoryBytes }),
    })),
    goldenSamples: manifest.goldenSamples.map(({ name, artifact, tolerance }) => ({ name, file: blobs.path(artifact), tolerance })),
    ...(manifest.batching === undefined ? {} : { batching: batching(manifest.batching) }),
  };
}

function batching(hints: NonNullable<ModelManifest['batching']>): NonNullable<ServableSpec['batching']> {
  const { maxBatchSize, preferredSizes, maxDelayMicros } = hints;
  return {
    maxBatchSize,
    ...(preferredSizes === undefined ? {} : { preferredSizes }),
    ...(maxDelayMicros === undefined ? {} : { maxDelayMicros }),
  };
}
