import type { IncomingMessage } from 'node:http';
import { SkerryError } from '#shared/kernel/errors.js';

export interface Body {
  readonly bytes: Uint8Array;
  /** The memory is this body's alone, not a piece of the connection's read buffer. */
  readonly owned: boolean;
}

/** Reads a request body of at most `limit` bytes. Errors: `INPUT_TOO_LARGE`, `SERVE_ENCODING`, `ABORTED` when the client goes away. */
export function readBody(request: IncomingMessage, limit: number): Promise<Body> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    return Promise.reject(new SkerryError('SERVE_ENCODING', `Content-Encoding ${encoding.slice(0, 64)} is not accepted`));
  }
  const tooLarge = (): SkerryError => new SkerryError('INPUT_TOO_LARGE', `the body has more than the accepted ${limit} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > limit) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    let complete = false;
    request.on('data', (chunk: Uint8Array) => {
      size += chunk.byteLength;
      // What comes after is read and dropped, within the time a request has, so that the client gets to read the answer.
      if (size > limit) reject(tooLarge());
      else chunks.push(chunk);
    });
    request.once('end', () => {
      complete = true;
      const [only] = chunks;
      if (chunks.length === 1 && only !== undefined) resolve({ bytes: only, owned: false });
      else resolve({ bytes: Buffer.concat(chunks, size), owned: true });
    });
    // Every request closes in the end; an error made for each, with its stack, would cost more than parsing it.
    request.once('close', () => {
      if (!complete) reject(new SkerryError('ABORTED', 'the client went away before its request was complete'));
    });
    request.once('error', (cause) => reject(new SkerryError('ABORTED', 'the client went away before its request was complete', { cause })));
  });
}
