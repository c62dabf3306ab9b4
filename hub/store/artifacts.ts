import type { Digest } from '#shared/bundle/names.js';

/** Where artifacts lie: a folder now, any store with these acts later. Everything is addressed by SHA-256 and never changes. */
export interface ArtifactStorage {
  /**
   * Stores what `source` yields if it has this digest, and (where given) this many bytes; resolves once it survives a power
   * cut. On any failure nothing is kept: `ARTIFACT_DIGEST_MISMATCH`, `ARTIFACT_TRUNCATED`, `INPUT_TOO_LARGE`, `DISK_FULL`.
   */
  put(digest: Digest, source: AsyncIterable<Uint8Array>, length?: number): Promise<{ readonly length: number }>;
  has(digest: Digest): Promise<boolean>;
  /** Bytes of the artifact; `undefined` when it is not here. */
  length(digest: Digest): Promise<number | undefined>;
  /** Exactly `length` bytes from `offset`; `ARTIFACT_UNKNOWN` when it is not here or ends before that. */
  readRange(digest: Digest, offset: number, length: number): Promise<Uint8Array>;
  /** Deleting what is not here is no error. */
  delete(digest: Digest): Promise<void>;
  /** Every artifact that is here, complete ones only. */
  list(): AsyncIterable<Digest>;
  usage(): Promise<{ readonly artifacts: number; readonly bytes: number }>;
}
