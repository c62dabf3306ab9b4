import type { Millis } from '#shared/kernel/time.js';

/** Signature algorithms of tokens (RFC 7518, 3.1; RFC 8037). None has a shared secret, so a public key never serves as one. */
export const TOKEN_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;
export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number];

/** What a token must be like. */
export interface TokenRules {
  readonly issuer: string;
  readonly audience: string;
  /** File or URL of the keys. */
  readonly jwks: string;
  readonly algorithms: readonly TokenAlgorithm[];
  readonly rolesClaim: string;
  readonly clockTolerance: Millis;
}
