import { decodeModelManifest } from '#shared/bundle/manifest-codec.js';
import type { ModelManifest } from '#shared/bundle/model-manifest.js';
import type { Digest } from '#shared/bundle/names.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { BlobStore } from '#agent/store/contract.js';
import type { ManifestFacts } from './decide/snapshot.js';
import { usableVariants, type Machine } from './variants.js';

/** Manifests on this device: read when needed, only the figures planning needs are kept in memory. */
export class Manifests {
  readonly #blobs: BlobStore;
  readonly #machine: Machine;
  readonly #facts = new Map<Digest, ManifestFacts>();

  constructor(blobs: BlobStore, machine: Machine) {
    this.#blobs = blobs;
    this.#machine = machine;
  }

  /** Throws `STORE_BLOB_MISSING`, `STORE_BLOB_CORRUPT`, `BUNDLE_MANIFEST_INVALID`. */
  async read(digest: Digest): Promise<ModelManifest> {
    return decodeModelManifest(await this.#blobs.read(digest, LIMITS.manifestBytes));
  }

  /** Figures of a manifest whose file is complete; `undefined` when it cannot be read, which the fetching step then reports. */
  async facts(digest: Digest): Promise<ManifestFacts | undefined> {
    const known = this.#facts.get(digest);
    if (known !== undefined) return known;
    try {
      const facts = factsOfManifest(await this.read(digest), this.#machine);
      this.#facts.set(digest, facts);
      return facts;
    } catch {
      return undefined;
    }
  }

  /** The same, where they were asked for before. */
  known(digest: Digest): ManifestFacts | undefined {
    return this.#facts.get(digest);
  }

  /** Forgets figures of manifests not in `kept`. */
  keepOnly(kept: ReadonlySet<Digest>): void {
    for (const digest of this.#facts.keys()) if (!kept.has(digest)) this.#facts.delete(digest);
  }
}

function factsOfManifest(manifest: ModelManifest, machine: Machine): ManifestFacts {
  const variants = usableVariants(manifest, machine);
  const wanted = new Set<string>([
    ...variants.map((variant) => variant.artifact),
    ...manifest.goldenSamples.map((sample) => sample.artifact),
  ]);
  return {
    usable: variants.length > 0,
    artifacts: manifest.artifacts.filter(({ digest }) => wanted.has(digest)).map(({ digest, length }) => ({ digest, length })),
    loadBytes: variants.length === 0 ? 0 : Math.min(...variants.map((variant) => variant.requires.memoryBytes ?? 0)),
    signature: { inputs: manifest.inputs, outputs: manifest.outputs },
  };
}
