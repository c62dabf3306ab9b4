import { createHash } from 'node:crypto';
import nacl from 'tweetnacl';
import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';

/** An Ed25519 public key (RFC 8032), 32 bytes in lower-case hex. */
export const publicKeySchema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'an Ed25519 public key in lower-case hex')
  .brand<'PublicKey'>();
export type PublicKey = z.infer<typeof publicKeySchema>;

/** A private key that can only sign: its bytes stay inside. */
export interface SigningKey {
  readonly publicKey: PublicKey;
  /** SHA-256 of the canonical TUF key object, hex (TUF 4.2.1). */
  readonly keyId: string;
  /** Detached Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
  /** The seed, for a thread of this process that is to sign in its place; it must go nowhere else. */
  seed(): Uint8Array;
}

export const SEED_BYTES = 32;

/** A new random seed from the system's generator; everything about a key follows from it. */
export function generateSeed(): Uint8Array {
  return nacl.randomBytes(SEED_BYTES);
}

/** The signing key of a 32-byte seed; throws `TRUST_KEY_FILE` for any other length. */
export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  if (seed.byteLength !== SEED_BYTES) throw new SkerryError('TRUST_KEY_FILE', `a seed has ${SEED_BYTES} bytes, not ${seed.byteLength}`);
  const pair = nacl.sign.keyPair.fromSeed(seed);
  const publicKey = publicKeySchema.parse(Buffer.from(pair.publicKey).toString('hex'));
  return {
    publicKey,
    keyId: tufKeyId(publicKey),
    sign: (message) => nacl.sign.detached(message, pair.secretKey),
    seed: () => seed.slice(),
  };
}

export function generateSigningKey(): SigningKey {
  return signingKeyFromSeed(generateSeed());
}

/** True when `signature` is the Ed25519 signature of `message` by `publicKey`; false for anything malformed. */
export function verifySignature(publicKey: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.byteLength !== nacl.sign.signatureLength) return false;
  return nacl.sign.detached.verify(message, signature, Buffer.from(publicKey, 'hex'));
}

/** A public key as TUF metadata writes it (TUF 4.2). */
export interface TufKeyObject {
  readonly keytype: 'ed25519';
  readonly scheme: 'ed25519';
  readonly keyval: { readonly public: PublicKey };
}

export function tufKeyObject(publicKey: PublicKey): TufKeyObject {
  return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: publicKey } };
}

/** Key id of a public key: SHA-256 over the canonical JSON of its key object, hex (TUF 4.2.1). */
export function tufKeyId(publicKey: PublicKey): string {
  // Canonical JSON sorts the members; this order is the sorted one.
  const canonical = JSON.stringify({ keytype: 'ed25519', keyval: { public: publicKey }, scheme: 'ed25519' });
  return createHash('sha256').update(canonical).digest('hex');
}
