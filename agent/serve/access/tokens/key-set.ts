import { createPublicKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { parseJson } from '#shared/kernel/json.js';
import type { TokenAlgorithm } from './token-rules.js';

/** Largest key set. */
export const KEY_SET_BYTES = 256 * 1024;
const MAX_KEYS = 256;
const text = z.string().max(4096);

/** A JSON Web Key Set (RFC 7517). Members that are not named here say nothing about signatures. */
const keySetSchema = z.object({
  keys: z
    .array(
      z.object({
        kty: z.string().max(32),
        kid: z.string().max(512).optional(),
        use: z.string().max(32).optional(),
        alg: z.string().max(32).optional(),
        crv: z.string().max(32).optional(),
        n: text.optional(),
        e: text.optional(),
        x: text.optional(),
        y: text.optional(),
      }),
    )
    .max(MAX_KEYS),
});
type JsonWebKey = z.infer<typeof keySetSchema>['keys'][number];

/** A public key that verifies tokens. */
export interface TokenKey {
  readonly kid: string | undefined;
  /** What it may verify. */
  readonly algorithms: ReadonlySet<TokenAlgorithm>;
  readonly key: KeyObject;
}

/** Smallest RSA key (RFC 7518, 3.3). */
const RSA_BITS = 2048;

const BY_CURVE: Readonly<Record<string, TokenAlgorithm>> = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512', Ed25519: 'EdDSA' };
const BY_RSA: readonly TokenAlgorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];

/** The keys of a set that verify signatures by an algorithm known here; a set may have others beside them. Errors: `SERVE_ACCESS_FILE`. */
export function parseKeySet(bytes: Uint8Array, what: string): readonly TokenKey[] {
  const { keys } = parseJson(keySetSchema, bytes, { what, maxBytes: KEY_SET_BYTES, code: 'SERVE_ACCESS_FILE' });
  return keys.flatMap((jwk) => tokenKey(jwk) ?? []);
}

function tokenKey(jwk: JsonWebKey): TokenKey | undefined {
  if (jwk.use !== undefined && jwk.use !== 'sig') return undefined;
  const fits = algorithmsOf(jwk).filter((algorithm) => jwk.alg === undefined || jwk.alg === algorithm);
  if (fits.length === 0) return undefined;
  try {
    const { kty, crv, n, e, x, y } = jwk;
    const members = Object.entries({ kty, crv, n, e, x, y }).filter((member) => member[1] !== undefined);
    const key = createPublicKey({ key: Object.fromEntries(members), format: 'jwk' });
    const bits = key.asymmetricKeyDetails?.modulusLength ?? RSA_BITS;
    return bits < RSA_BITS ? undefined : { kid: jwk.kid, algorithms: new Set(fits), key };
  } catch {
    // Not a key of its type.
    return undefined;
  }
}

function algorithmsOf({ kty, crv = '' }: JsonWebKey): readonly TokenAlgorithm[] {
  if (kty === 'RSA') return BY_RSA;
  const named = Object.hasOwn(BY_CURVE, crv) ? BY_CURVE[crv] : undefined;
  return named !== undefined && kty === (crv === 'Ed25519' ? 'OKP' : 'EC') ? [named] : [];
}
