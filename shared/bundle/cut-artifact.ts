import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { chunks } from './chunker.js';
import { digestOf } from './digest.js';
import type { Artifact } from './manifest-parts.js';
import { digestSchema } from './names.js';

/**
 * Describes a stream as an artifact: digest, length, and the digest and length of every chunk, in one pass and bounded memory.
 * `onBytes` is told how many bytes were read so far. `INPUT_TOO_LARGE` beyond LIMITS.artifactBytes, `INPUT_SCHEMA` when empty.
 */
export async function cutArtifact(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  what: string,
  onBytes?: (read: number) => void,
): Promise<Artifact> {
  const hash = createHash('sha256');
  const cut: Artifact['chunks'] = [];
  let length = 0;
  for await (const chunk of chunks(source)) {
    hash.update(chunk);
    length += chunk.byteLength;
    if (length > LIMITS.artifactBytes) {
      throw new SkerryError('INPUT_TOO_LARGE', `${what} has more than the accepted ${LIMITS.artifactBytes} bytes`);
    }
    cut.push([digestOf(chunk), chunk.byteLength]);
    onBytes?.(length);
  }
  if (length === 0) throw new SkerryError('INPUT_SCHEMA', `${what} is empty`);
  return { digest: digestSchema.parse(hash.digest('hex')), length, chunks: cut };
}

/** `cutArtifact` of a file, which is read as a stream. */
export function cutArtifactFile(path: string, onBytes?: (read: number) => void): Promise<Artifact> {
  return cutArtifact(createReadStream(path, { highWaterMark: 1024 * 1024 }), path, onBytes);
}
