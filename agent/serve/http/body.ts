import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { inTurns } from '#shared/kernel/turns.js';
import { type BodyMemory, SMALL_BODY } from '../body-memory.js';
import { codingOf, unpacked } from './body-coding.js';

/** The two ends of an HTTP request. */
export interface Ends {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface Body {
  readonly bytes: Buffer;
  /** The memory is this body's alone, not a piece of the connection's read buffer. */
  readonly owned: boolean;
}

export interface BodyOptions {
  /** Bytes accepted, as sent and as decoded. */
  readonly limit: number;
  /** Place in a large body from which numbers of eight bytes are aligned in memory, so that nobody has to copy them there. */
  readonly alignedAt?: number;
}

/**
 * Reads a request body. Errors: `INPUT_TOO_LARGE`, `SERVE_ENCODING`, `SERVE_BUSY` when other bodies take the `memory`, `ABORTED` when the
 * client goes away.
 */
export async function readBody(ends: Ends, options: BodyOptions, memory: BodyMemory): Promise<Body> {
  const { headers } = ends.request;
  const coding = headers['content-encoding'] === undefined ? undefined : codingOf(headers);
  const taken = new Taken(ends, memory);
  const body = await readSent(ends, options, taken);
  if (coding === undefined) return body;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const piece of unpacked(body.bytes, coding)) {
    size += piece.byteLength;
    if (size > options.limit) throw tooLarge(options.limit);
    taken.grow(piece.byteLength + CHUNK_COST);
    chunks.push(piece);
  }
  return { bytes: size <= JOINED_AT_ONCE ? Buffer.concat(chunks, size) : await inTurns(join(chunks, size)), owned: true };
}

function readSent({ request, response }: Ends, { limit, alignedAt = 0 }: BodyOptions, taken: Taken): Promise<Body> {
  const refusal = refusalOf(request.headers, limit);
  if (refusal !== undefined) return Promise.reject(refusal);
  // RFC 9110, 10.1.1: only now, since a client that asks first need not send what would be refused.
  if (expectsContinue(request.headers)) response.writeContinue();
  return new Promise((resolve, reject) => {
    const length = Number(request.headers['content-length'] ?? Number.NaN);
    const parts = length > PUT_TOGETHER ? new Place(length, alignedAt) : new Chunks();
    let size = 0;
    let complete = false;
    const take = (chunk: Buffer): void => {
      size += chunk.byteLength;
      try {
        if (size > limit) throw tooLarge(limit);
        taken.grow(chunk.byteLength + CHUNK_COST);
        parts.add(chunk);
      } catch (cause) {
        // What comes after is dropped by whoever writes the answer.
        request.off('data', take);
        parts.drop();
        reject(asSkerryError(cause));
      }
    };
    request.on('data', take);
    request.once('end', () => {
      complete = true;
      resolve(parts.whole());
    });
    // Every request closes in the end; an error made for each, with its stack, would cost more than parsing it.
    request.once('close', () => {
      if (!complete) reject(new SkerryError('ABORTED', 'the client disconnected before its request was complete'));
    });
    request.once('error', (cause) =>
      reject(new SkerryError('ABORTED', 'the client disconnected before its request was complete', { cause })),
    );
  });
}

/** What one body takes of the memory for bodies, until its answer is written. */
class Taken {
  readonly #response: ServerResponse;
  readonly #memory: BodyMemory;
  #size = 0;
  #counted = 0;

  constructor({ response }: Ends, memory: BodyMemory) {
    this.#response = response;
    this.#memory = memory;
  }

  grow(bytes: number): void {
    this.#size += bytes;
    // Of one that nobody waits for, nothing would tell the end.
    if (this.#size <= SMALL_BODY || this.#response.destroyed) return;
    const more = this.#size - this.#counted;
    this.#memory.take(more);
    if (this.#counted === 0) this.#response.once('close', () => this.#memory.release(this.#counted));
    this.#counted += more;
  }
}

/** Memory that a chunk costs beside its bytes: a client may send each byte in one of its own. */
const CHUNK_COST = 256;

const JOINED_AT_ONCE = 1024 * 1024;

/** From this size on a body whose length is known is put together while it comes. */
const PUT_TOGETHER = 64 * 1024;

/** Memory for a body of known length. Pages that nothing was written to yet take none of the machine's. */
class Place {
  readonly #length: number;
  readonly #before: number;
  #bytes: Buffer | undefined;
  #filled = 0;

  constructor(length: number, alignedAt: number) {
    this.#length = length;
    this.#before = (ALIGNMENT - (alignedAt % ALIGNMENT)) % ALIGNMENT;
  }

  /** Node lets no more bytes come than were announced. */
  add(chunk: Buffer): void {
    this.#bytes ??= Buffer.allocUnsafeSlow(this.#before + this.#length).subarray(this.#before);
    this.#bytes.set(chunk, this.#filled);
    this.#filled += chunk.byteLength;
  }

  drop(): void {
    this.#bytes = undefined;
  }

  whole(): Body {
    return { bytes: (this.#bytes ?? NOTHING).subarray(0, this.#filled), owned: true };
  }
}

const ALIGNMENT = 8;
const NOTHING = Buffer.alloc(0);

/** What came of a body whose length is not known, or that is small. */
class Chunks {
  readonly #chunks: Buffer[] = [];
  #size = 0;

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.byteLength;
  }

  drop(): void {
    this.#chunks.length = 0;
  }

  whole(): Body | Promise<Body> {
    const [only] = this.#chunks;
    if (this.#chunks.length === 1 && only !== undefined) return { bytes: only, owned: false };
    if (this.#size <= JOINED_AT_ONCE) return { bytes: Buffer.concat(this.#chunks, this.#size), owned: true };
    return inTurns(join(this.#chunks, this.#size)).then((bytes) => ({ bytes, owned: true }));
  }
}

/** Copies one chunk after the other, and lets go of each. */
function* join(chunks: Uint8Array[], size: number): Generator<void, Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size);
  let offset = 0;
  for (const [index, chunk] of chunks.entries()) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
    chunks[index] = NOTHING;
    yield;
  }
  return bytes;
}

/** The client waits for a word before it sends its body. */
export function expectsContinue(headers: IncomingHttpHeaders): boolean {
  return headers.expect?.trim().toLowerCase() === '100-continue';
}

/** What can be said of a body by its headers alone. */
function refusalOf(headers: IncomingHttpHeaders, limit: number): SkerryError | undefined {
  const length = Number(headers['content-length'] ?? 0);
  if (headers['transfer-encoding'] === undefined) return length > limit ? tooLarge(limit) : undefined;
  const codings = headers['transfer-encoding']
    .split(',')
    .map((name) => name.trim())
    .filter((name) => !['', 'identity', 'chunked'].includes(name.toLowerCase()));
  if (codings.length > 0) {
    return new SkerryError('SERVE_ENCODING', `a body transferred as ${codings.join(', ').slice(0, 64)} is not accepted`);
  }
  return length > limit ? tooLarge(limit) : undefined;
}

function tooLarge(limit: number): SkerryError {
  return new SkerryError('INPUT_TOO_LARGE', `the body has more than the accepted ${limit} bytes`);
}
