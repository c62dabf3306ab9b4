import path from 'node:path';
import { type SigningKey, verifySignature } from '#shared/trust/keys.js';
import type { PublicKey } from '#shared/trust/keys.js';
import { sha256Of } from '../build/natives.js';

export const CHECKSUMS = 'SHA256SUMS';
export const CHECKSUMS_SIGNATURE = `${CHECKSUMS}.sig`;

/** Lines as sha256sum(1) writes and checks them, sorted by name. */
export async function checksums(files: readonly string[]): Promise<string> {
  const lines = await Promise.all(files.map(async (file) => `${await sha256Of(file)}  ${path.basename(file)}\n`));
  return lines.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join('');
}

/** A detached Ed25519 signature, 64 bytes raw: what `openssl pkeyutl -verify -rawin` reads. */
export function signChecksums(text: string, key: SigningKey): Uint8Array {
  return key.sign(Buffer.from(text));
}

export function checksumsHold(text: Uint8Array, signature: Uint8Array, key: PublicKey): boolean {
  return verifySignature(key, text, signature);
}

/** The public key as PEM (RFC 8410): the fixed beginning of an Ed25519 SubjectPublicKeyInfo, then the 32 bytes. */
export function publicKeyPem(key: PublicKey): string {
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(key, 'hex')]);
  return `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`;
}
