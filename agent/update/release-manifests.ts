import type { AgentManifest } from '#shared/bundle/agent-manifest.js';
import { decodeAgentManifest } from '#shared/bundle/manifest-codec.js';
import type { Digest, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { BlobStore } from '#agent/store/contract.js';
import type { ReleaseFacts } from './decide/update-plan.js';

type Executable = AgentManifest['artifacts'][number];

/** Manifests of releases in the cache, and which executable in them is for this device. The last one read is kept. */
export class ReleaseManifests {
  readonly #blobs: BlobStore;
  readonly #platform: { readonly os: string; readonly arch: string };
  #last: { readonly digest: Digest; readonly manifest: AgentManifest } | undefined;

  constructor(blobs: BlobStore, platform: { readonly os: string; readonly arch: string }) {
    this.#blobs = blobs;
    this.#platform = platform;
  }

  /** Throws `STORE_BLOB_*`, `BUNDLE_MANIFEST_INVALID`, `MODELS_MANIFEST_MISMATCH`. */
  async read(version: VersionNumber, digest: Digest): Promise<AgentManifest> {
    if (this.#last?.digest === digest) return this.#last.manifest;
    const manifest = decodeAgentManifest(await this.#blobs.read(digest, LIMITS.manifestBytes));
    if (manifest.version !== version) {
      throw new SkerryError('MODELS_MANIFEST_MISMATCH', `the manifest of release ${version} describes release ${manifest.version}`);
    }
    this.#last = { digest, manifest };
    return manifest;
  }

  /** What planning needs of a manifest; `undefined` when it is not here or cannot be read, which fetching it then reports. */
  async facts(version: VersionNumber, digest: Digest): Promise<ReleaseFacts | undefined> {
    if (this.#last?.digest !== digest && !(await this.#blobs.has(digest))) return undefined;
    try {
      const { release, takesOverFrom } = await this.read(version, digest);
      return { release, takesOverFrom, executable: await this.executable(version, digest) };
    } catch {
      return undefined;
    }
  }

  /** The executable for this device; `undefined` when the release has none. Throws as `read`. */
  async executable(version: VersionNumber, digest: Digest): Promise<Executable | undefined> {
    const { os, arch } = this.#platform;
    const { variants, artifacts } = await this.read(version, digest);
    const variant = variants.find((candidate) => candidate.platform === os && candidate.arch === arch);
    return artifacts.find((artifact) => artifact.digest === variant?.artifact);
  }
}
