import type { IncomingMessage, ServerResponse } from 'node:http';
import { LIMITS } from '#shared/kernel/limits.js';
import { type Ends, expectsContinue } from './body.js';
import type { HttpAnswer } from './exchange.js';

/** Writes an answer and ends the response. Resolves when nothing more will be written; never rejects. */
export async function writeAnswer({ request, response }: Ends, { status, headers, body }: HttpAnswer): Promise<void> {
  if (response.headersSent || response.destroyed) return;
  const keep = request.complete || isSmallRest(request);
  if (!keep) response.shouldKeepAlive = false;
  if (isList(body)) {
    response.writeHead(status, { ...headers, 'content-length': body.reduce((sum, part) => sum + Buffer.byteLength(part), 0) });
    if (request.method !== 'HEAD') {
      const [only, ...rest] = body;
      if (keep && rest.length === 0) {
        response.end(only);
        return;
      }
      response.cork();
      for (const part of body) response.write(part);
      response.uncork();
    }
  } else {
    response.writeHead(status, headers);
    await writePieces(response, body);
  }
  // One that asked before it sends its body sends none now.
  if (!keep && !expectsContinue(request.headers)) await drain(request);
  response.end();
}

/** Writes no faster than the client reads, so that an answer never lies in memory as a whole. */
async function writePieces(response: ServerResponse, pieces: AsyncIterable<string | Uint8Array>): Promise<void> {
  for await (const piece of pieces) {
    if (response.destroyed) return;
    if (!response.write(piece)) await writable(response);
  }
}

function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}

function isList<T>(body: readonly T[] | AsyncIterable<unknown>): body is readonly T[] {
  return Array.isArray(body);
}

/** The rest of a request that was answered before its end is read and dropped by Node, and the connection kept. */
function isSmallRest({ headers }: IncomingMessage): boolean {
  return headers.expect === undefined && Number(headers['content-length'] ?? Number.NaN) <= LIMITS.keepAliveDrainBytes;
}

/**
 * Reads and drops what a client still sends, for as long as a request may take: closing on it at once would reset the
 * connection, and the client might lose the answer that it has not read yet.
 */
function drain(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    request.once('end', resolve);
    request.once('close', resolve);
    request.on('data', () => undefined);
    request.resume();
  });
}
