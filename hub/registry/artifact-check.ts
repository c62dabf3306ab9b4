import { createHash, webcrypto } from 'node:crypto';
import type { ArtifactStorage } from '#hub/store/artifacts.js';
import type { Artifact } from '#shared/bundle/manifest-parts.js';
import { SkerryError } from '#shared/kernel/errors.js';

/** Chunks read and hashed at once: enough to keep the thread pool busy, little enough to hold in memory. */
const CHUNKS_AT_ONCE = 16;

/**
 * Checks a stored artifact against its description: every chunk at its place with its digest, and all of them together
 * the artifact's. Chunk digests are computed in Node's thread pool; the event loop only adds up the whole, one chunk at a
 * time (R5). Throws `MANIFEST_MISMATCH` naming the first chunk that differs, `ARTIFACT_UNKNOWN` when it is shorter.
 */
export async function checkArtifact(storage: ArtifactStorage, artifact: Artifact): Promise<void> {
  const whole = createHash('sha256');
  let offset = 0;
  for (let first = 0; first < artifact.chunks.length; first += CHUNKS_AT_ONCE) {
    const batch = artifact.chunks.slice(first, first + CHUNKS_AT_ONCE);
    const length = batch.reduce((sum, [, bytes]) => sum + bytes, 0);
    const bytes = await storage.readRange(artifact.digest, offset, length);
    const actual = await Promise.all(cut(bytes, batch).map(digestInPool));
    for (const [index, [expected]] of batch.entries()) {
      if (actual[index] !== expected) {
        throw new SkerryError('MANIFEST_MISMATCH', `chunk ${first + index} of artifact ${artifact.digest} is not what the manifest says`, {
          details: { artifact: artifact.digest, chunk: first + index, expected, actual: actual[index] },
        });
      }
    }
    whole.update(bytes);
    offset += length;
  }
  const digest = whole.digest('hex');
  if (digest !== artifact.digest) {
    throw new SkerryError('MANIFEST_MISMATCH', `the chunks of artifact ${artifact.digest} put together have the digest ${digest}`);
  }
}

function cut(bytes: Uint8Array, chunks: Artifact['chunks']): Uint8Array<ArrayBuffer>[] {
  let offset = 0;
  return chunks.map(([, length]) => {
    const piece = new Uint8Array(bytes.subarray(offset, offset + length));
    offset += length;
    return piece;
  });
}

async function digestInPool(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}
