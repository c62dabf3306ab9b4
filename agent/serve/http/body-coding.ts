import type { IncomingHttpHeaders } from 'node:http';
import type { Transform } from 'node:stream';
import { createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { SkerryError } from '#shared/kernel/errors.js';

// zlib works in threads of its own, a piece at a time (R5).

/** Codings of content that are spoken (RFC 9110, 8.4.1); `x-gzip` is an old name of gzip. */
export type Coding = 'gzip' | 'deflate';

const DECODED: Readonly<Record<string, Coding>> = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate' };

/** The coding of a body; undefined for none. Errors: `SERVE_ENCODING` for others, and for one inside another. */
export function codingOf(headers: IncomingHttpHeaders): Coding | undefined {
  // Names of codings know no case, "identity" is none at all, and a list may have empty places.
  const names = (headers['content-encoding'] ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && name !== 'identity');
  const [name] = names;
  if (name === undefined) return undefined;
  const coding = Object.hasOwn(DECODED, name) ? DECODED[name] : undefined;
  if (names.length === 1 && coding !== undefined) return coding;
  throw new SkerryError('SERVE_ENCODING', `a body encoded as ${names.join(', ').slice(0, 64)} is not accepted, only as gzip or as deflate`);
}

/** Yields the content of an encoded body, piece by piece. Errors: `SERVE_BODY` where it cannot be decoded. */
export async function* unpacked(bytes: Uint8Array, coding: Coding): AsyncGenerator<Uint8Array, void> {
  const decoder = decoderFor(bytes, coding);
  decoder.end(bytes);
  try {
    for await (const piece of decoder) {
      if (piece instanceof Uint8Array) yield piece;
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SkerryError('SERVE_BODY', `the body is not ${coding} that can be read: ${why}`, { cause });
  } finally {
    decoder.destroy();
  }
}

/**
 * By what the body is, since clients name the one and send the other: gzip begins with its own bytes, zlib with a header of which a check is
 * part. "deflate" means zlib's form (RFC 9110, 8.4.1.2), and many send the bare one.
 */
function decoderFor(bytes: Uint8Array, coding: Coding): Transform {
  const [first = 0, second = 0] = bytes;
  if (first === 0x1f && second === 0x8b) return createGunzip();
  if ((first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0) return createInflate();
  return coding === 'gzip' ? createGunzip() : createInflateRaw();
}
