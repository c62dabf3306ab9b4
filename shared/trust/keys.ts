import { createHash, createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
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
}

export const SEED_BYTES = 32;
/** Length of a detached Ed25519 signature (RFC 8032, 5.1.6). */
const SIGNATURE_BYTES = 64;

/** DER before the seed in a PKCS #8 private key, and before the point in a public key (RFC 8410, 7 and 4). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** A new random seed from the system's generator; everything about a key follows from it. */
export function generateSeed(): Uint8Array {
  return randomBytes(SEED_BYTES);
}

/** The signing key of a 32-byte seed; throws `TRUST_KEY_FILE` for any other length. */
export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  if (seed.byteLength !== SEED_BYTES) throw new SkerryError('TRUST_KEY_FILE', `a seed has ${SEED_BYTES} bytes, not ${seed.byteLength}`);
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const publicKey = publicKeySchema.parse(spki.subarray(SPKI_PREFIX.byteLength).toString('hex'));
  return {
    publicKey,
    keyId: tufKeyId(publicKey),
    sign: (message) => sign(null, message, privateKey),
  };
}

export function generateSigningKey(): SigningKey {
  return signingKeyFromSeed(generateSeed());
}

/** True when `signature` is the Ed25519 signature of `message` by `publicKey`; false for anything malformed. */
export function verifySignature(publicKey: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.byteLength !== SIGNATURE_BYTES) return false;
  return verify(null, message, publicKeyObject(publicKey), signature);
}

function publicKeyObject(publicKey: PublicKey): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, Buffer.from(publicKey, 'hex')]), format: 'der', type: 'spki' });
}

/** A public key as TUF metadata writes it (TUF 4.2). */
interface TufKeyObject {
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
