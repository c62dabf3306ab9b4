import { constants, verify } from 'node:crypto';
import { z } from 'zod';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { TokenKey } from './key-set.js';
import { TOKEN_ALGORITHMS, type TokenAlgorithm, type TokenRules } from './token-rules.js';

/** Longest token. */
const TOKEN_LENGTH = 8 * 1024;

const headerSchema = z.object({ alg: z.enum(TOKEN_ALGORITHMS), kid: z.string().max(512).optional(), crit: z.never().optional() });
const claimsSchema = z.looseObject({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  sub: z.string().min(1).max(512),
  exp: z.number(),
  nbf: z.number().optional(),
});
type Claims = z.infer<typeof claimsSchema>;

/** A token as it was read; nothing in it is believed before its signature is verified. */
export interface ReadToken {
  readonly algorithm: TokenAlgorithm;
  readonly kid: string | undefined;
  readonly claims: Claims;
  readonly signed: string;
  readonly signature: Buffer;
}

/** What a verified token says. */
export interface TokenHolder {
  readonly subject: string;
  readonly roles: readonly string[];
  /** Until when the token is to be accepted. */
  readonly expires: EpochMillis;
}

/** Reads a JSON Web Token in its compact form (RFC 7519, RFC 7515); `undefined` when it is none that could be accepted here. */
export function readToken(text: string): ReadToken | undefined {
  const [head, body, signature, ...more] = text.length > TOKEN_LENGTH ? [] : text.split('.');
  if (head === undefined || body === undefined || signature === undefined || more.length > 0) return undefined;
  const header = headerSchema.safeParse(jsonOf(head));
  const claims = claimsSchema.safeParse(jsonOf(body));
  if (!header.success || !claims.success) return undefined;
  const { alg, kid } = header.data;
  return { algorithm: alg, kid, claims: claims.data, signed: `${head}.${body}`, signature: Buffer.from(signature, 'base64url') };
}

/** The keys that may have signed a token: all that fit its algorithm and, where it names one, have its `kid`. */
export function keysFor({ algorithm, kid }: ReadToken, keys: readonly TokenKey[]): readonly TokenKey[] {
  return keys.filter((key) => key.algorithms.has(algorithm) && (kid === undefined || key.kid === kid));
}

/** A named check of a token. */
type Check = readonly [string, (token: ReadToken, rules: TokenRules, now: EpochMillis) => boolean];

/** RFC 7519, 4.1. What a token says about its time gets the tolerance of clocks. */
const CHECKS: readonly Check[] = [
  ['the signature algorithm is not accepted', ({ algorithm }, { algorithms }) => algorithms.includes(algorithm)],
  ['the issuer is another one', ({ claims }, { issuer }) => claims.iss === issuer],
  ['the token is for another audience', ({ claims }, { audience }) => [claims.aud].flat().includes(audience)],
  ['the token has expired', ({ claims }, { clockTolerance }, now) => now < claims.exp * 1000 + clockTolerance],
  ['the token is not valid yet', ({ claims: { nbf } }, { clockTolerance }, now) => nbf === undefined || now >= nbf * 1000 - clockTolerance],
];

/** Why a token is refused before anybody looks at its signature; `undefined` when nothing speaks against it. */
export function problemOf(token: ReadToken, rules: TokenRules, now: EpochMillis): string | undefined {
  return CHECKS.find(([, holds]) => !holds(token, rules, now))?.[0];
}

/** Whether one of the keys made the signature. */
export function isSigned({ algorithm, signed, signature }: ReadToken, keys: readonly TokenKey[]): boolean {
  const hash = algorithm === 'EdDSA' ? null : `sha${algorithm.slice(2)}`;
  const padding = algorithm.startsWith('PS')
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {};
  // RFC 7518, 3.4: both numbers one after the other, not in DER.
  return keys.some(({ key }) => verify(hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363', ...padding }, signature));
}

export function holderOf({ claims }: ReadToken, { rolesClaim, clockTolerance }: TokenRules): TokenHolder {
  return { subject: claims.sub, roles: rolesOf(claims, rolesClaim), expires: claims.exp * 1000 + clockTolerance };
}

/** The roles that a claim names: a list, or words with spaces in between as in `scope` (RFC 8693, 4.2). */
function rolesOf(claims: Claims, path: string): readonly string[] {
  let value: unknown = claims;
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return [];
    value = Reflect.get(value, part);
  }
  const list: readonly unknown[] = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : [];
  return list.filter((one) => typeof one === 'string').slice(0, 64);
}

function jsonOf(part: string): unknown {
  // Node skips characters that base64url does not have: then the signature would be over another text than the one read.
  if (!/^[A-Za-z0-9_-]+$/.test(part)) return undefined;
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
