import type { Db } from '#hub/store/database.js';
import type { ArtifactStorage } from '#hub/store/artifacts.js';
import type { Artifact } from '#shared/bundle/manifest-parts.js';
import { decodeManifest } from '#shared/bundle/manifest-codec.js';
import type { Digest } from '#shared/bundle/names.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { FetchRequest } from '#shared/protocol/messages.js';

/** A blob cut into the pieces devices ask for. */
export interface ServableBlob {
  readonly pieces: number;
  /** Bytes of one piece, 0 <= index < pieces. */
  read(index: number): Promise<Uint8Array>;
}

export interface BlobSource {
  /** Undefined when the hub does not hold it. */
  open(kind: FetchRequest['kind'], digest: Digest): Promise<ServableBlob | undefined>;
}

/** Manifests out of the database, artifacts out of the artifact storage, cut as the manifest that names them says. */
export class HubBlobs implements BlobSource {
  readonly #db: Db;
  readonly #storage: ArtifactStorage;

  constructor(db: Db, storage: ArtifactStorage) {
    this.#db = db;
    this.#storage = storage;
  }

  async open(kind: FetchRequest['kind'], digest: Digest): Promise<ServableBlob | undefined> {
    return kind === 'target' ? this.#target(digest) : this.#artifact(digest);
  }

  async #target(digest: Digest): Promise<ServableBlob | undefined> {
    const row = await this.#db.selectFrom('versions').select('manifest').where('manifest_digest', '=', digest).executeTakeFirst();
    return row === undefined ? undefined : targetBlob(row.manifest);
  }

  async #artifact(digest: Digest): Promise<ServableBlob | undefined> {
    const row = await this.#db
      .selectFrom('version_artifacts')
      .innerJoin('versions', (join) =>
        join.onRef('versions.model', '=', 'version_artifacts.model').onRef('versions.version', '=', 'version_artifacts.version'),
      )
      .select('versions.manifest')
      .where('version_artifacts.digest', '=', digest)
      .executeTakeFirst();
    const artifact = row === undefined ? undefined : decodeManifest(row.manifest).artifacts.find((entry) => entry.digest === digest);
    return artifact === undefined ? undefined : artifactBlob(artifact, this.#storage);
  }
}

/** A TUF target in pieces of fixed size. */
function targetBlob(bytes: Uint8Array): ServableBlob {
  const size = LIMITS.targetPieceBytes;
  return {
    pieces: Math.max(1, Math.ceil(bytes.byteLength / size)),
    read: (index) => Promise.resolve(bytes.subarray(index * size, (index + 1) * size)),
  };
}

function artifactBlob({ digest, chunks }: Artifact, storage: ArtifactStorage): ServableBlob {
  const offsets = new Float64Array(chunks.length);
  let offset = 0;
  for (const [index, [, length]] of chunks.entries()) {
    offsets[index] = offset;
    offset += length;
  }
  return {
    pieces: chunks.length,
    read: (index) => storage.readRange(digest, offsets[index] ?? 0, chunks[index]?.[1] ?? 0),
  };
}
