import type { EpochMillis } from '#shared/kernel/time.js';

interface ModelsTable {
  name: string;
  created_at: EpochMillis;
}

export interface VersionsTable {
  model: string;
  version: number;
  /** SHA-256 of the manifest bytes, hex; equals the TUF target's. */
  manifest_digest: string;
  /** Canonical bytes of the manifest, as signed. */
  manifest: Uint8Array;
  /** Equal for equal content, whatever its number. */
  content_identity: string;
  /** Bytes of all its artifacts. */
  bytes: number;
  /** JSON: names of its variants. */
  variants: string;
  /** TUF targets role that signed for it. */
  role: string;
  published_at: EpochMillis;
  accepted_at: EpochMillis;
  /** Name of the token that uploaded it. */
  publisher: string;
}

/** What was deleted: its number is never used again, and the same content does not come back by itself. */
export interface DeletedVersionsTable {
  model: string;
  version: number;
  manifest_digest: string;
  /** TUF targets role that signed for it, and may still list it. */
  role: string;
  deleted_at: EpochMillis;
  deleted_by: string;
}

interface ArtifactsTable {
  digest: string;
  length: number;
  stored_at: EpochMillis;
}

interface VersionArtifactsTable {
  model: string;
  version: number;
  digest: string;
}

/** TUF metadata by file name (`1.root.json`, `timestamp.json`). */
interface TrustFilesTable {
  name: string;
  content: Uint8Array;
  stored_at: EpochMillis;
}

export interface RegistryTables {
  models: ModelsTable;
  versions: VersionsTable;
  deleted_versions: DeletedVersionsTable;
  artifacts: ArtifactsTable;
  version_artifacts: VersionArtifactsTable;
  trust_files: TrustFilesTable;
}
