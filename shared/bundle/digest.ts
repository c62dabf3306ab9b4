import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type Digest, digestSchema } from './names.js';

/** SHA-256 of bytes in memory. */
export function digestOf(bytes: Uint8Array): Digest {
  return digestSchema.parse(createHash('sha256').update(bytes).digest('hex'));
}

/** SHA-256 and length of a file, read as a stream. Rejects with Node's own error (`ENOENT`, ...) or when `signal` aborts. */
export async function digestFile(path: string, signal?: AbortSignal): Promise<{ digest: Digest; length: number }> {
  const hash = createHash('sha256');
  let length = 0;
  await pipeline(
    createReadStream(path, { highWaterMark: 1024 * 1024 }),
    async (source: AsyncIterable<Buffer>) => {
      for await (const buffer of source) {
        length += buffer.byteLength;
        hash.update(buffer);
      }
    },
    ...(signal === undefined ? [] : [{ signal }]),
  );
  return { digest: digestSchema.parse(hash.digest('hex')), length };
}
