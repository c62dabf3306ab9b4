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
    let length = 0;
    for (const part of body) length += Buffer.byteLength(part);
    response.writeHead(status, headLines(headers, length));
    if (request.method !== 'HEAD') writeWhole(response, body, length);
  } else {
    response.writeHead(status, headers);
    await writePieces(response, body);
  }
  // One that asked before it sends its body sends none now.
  if (!keep && !expectsContinue(request.headers)) await drain(request);
  response.end();
}

/** Up to this size a copy costs less than handing the parts over. */
const COPIED_BYTES = 16 * 1024;

/** Names and values in turn, which Node takes as they are. */
function headLines(headers: HttpAnswer['headers'], length: number): string[] {
  const lines: string[] = [];
  for (const [name, value] of Object.entries(headers)) lines.push(name, value);
  lines.push('content-length', String(length));
  return lines;
}

/** Hands a body to the connection: a small one as a text that Node writes together with the head, in one call of the system. */
function writeWhole(response: ServerResponse, body: readonly (string | Uint8Array)[], length: number): void {
  const { socket } = response;
  socket?.cork();
  if (length <= COPIED_BYTES) response.write(body.length === 1 && isAscii(body[0], length) ? body[0] : latin1Of(body), 'latin1');
  else for (const part of body) response.write(part);
  socket?.uncork();
}

function isAscii(part: string | Uint8Array | undefined, length: number): part is string {
  return typeof part === 'string' && part.length === length;
}

/** The bytes of a body as characters of that number. */
function latin1Of(body: readonly (string | Uint8Array)[]): string {
  let text = '';
  for (const part of body) text += (typeof part === 'string' ? Buffer.from(part) : bufferOf(part)).toString('latin1');
  return text;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
