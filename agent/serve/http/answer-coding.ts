import { Readable, type Transform } from 'node:stream';
import { constants, createDeflate, createGzip } from 'node:zlib';
import type { Coding } from './body-coding.js';
import type { HttpAnswer } from './exchange.js';

/**
 * The coding that a client likes best (RFC 9110, 12.5.3): the highest weight, the first of equal ones; undefined for none. `*` names none, and
 * a client that weighs "identity" higher gets no coding.
 */
export function wantedCoding(accepted: string | string[] | undefined): Coding | undefined {
  let best: { readonly coding: Coding | undefined; readonly weight: number } = { coding: undefined, weight: 0 };
  for (const entry of String(accepted ?? '')
    .split(',')
    .slice(0, MOST_CODINGS)) {
    const [name = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase());
    if (name !== 'gzip' && name !== 'deflate' && name !== 'identity') continue;
    const weight = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
    if (weight > best.weight) best = { coding: name === 'identity' ? undefined : name, weight };
  }
  return best.coding;
}

const MOST_CODINGS = 32;

/** Quick, since the connection is mostly one within a machine. */
const FAST = { level: constants.Z_BEST_SPEED };

/** Bodies up to this size are encoded as a whole, and so have a length. */
const WHOLE_BYTES = 64 * 1024;

/** The answer with its body encoded; a large one is written piece by piece. */
export async function encoded({ status, headers, body }: HttpAnswer, coding: Coding): Promise<HttpAnswer> {
  const encoder = coding === 'gzip' ? createGzip(FAST) : createDeflate(FAST);
  const pieces = piecesThrough(body, encoder);
  const described = { status, headers: { ...headers, 'content-encoding': coding, vary: 'accept-encoding' } };
  if (!isSmall(body)) return { ...described, body: pieces };
  const whole: Uint8Array[] = [];
  for await (const piece of pieces) whole.push(piece);
  return { ...described, body: whole };
}

function isSmall(body: HttpAnswer['body']): boolean {
  return Array.isArray(body) && body.reduce<number>((sum, part: string | Uint8Array) => sum + Buffer.byteLength(part), 0) <= WHOLE_BYTES;
}

async function* piecesThrough(body: HttpAnswer['body'], encoder: Transform): AsyncGenerator<Uint8Array, void> {
  const source = Readable.from(body);
  source.once('error', (cause) => encoder.destroy(cause));
  try {
    for await (const piece of source.pipe(encoder)) {
      if (piece instanceof Uint8Array) yield piece;
    }
  } finally {
    source.destroy();
    encoder.destroy();
  }
}
