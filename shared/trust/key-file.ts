import { randomBytes, scrypt } from 'node:crypto';
import { link, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import nacl from 'tweetnacl';
import { z } from 'zod';
import { syncFolder, writeFileSynced } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { openObject } from '#shared/kernel/open-object.js';
import { generateSeed, publicKeySchema, SEED_BYTES, type SigningKey, signingKeyFromSeed } from './keys.js';

const KEY_FILE_BYTES = 4096;
const KEY_SECRET_FILE_BYTES = 64 * 1024;
const SCRYPT_MEMORY_BYTES = 256 * 1024 * 1024;

/** What a private key is sealed with: the bytes of a passphrase or of a key file. */
export type KeySecret = Uint8Array;

/** Cost of guessing a passphrase (RFC 7914): memory is 128 * N * r bytes. */
export interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** For passphrases: 64 MiB, a few tenths of a second. */
export const PASSPHRASE_COST: ScryptCost = { N: 65_536, r: 8, p: 1 };
/** For key files of at least 32 random bytes, which nobody guesses. */
export const KEY_FILE_COST: ScryptCost = { N: 1_024, r: 8, p: 1 };

const base64Of = (bytes: number): z.ZodType<string> =>
  z.base64().refine((text) => Buffer.from(text, 'base64').byteLength === bytes, `${bytes} bytes in base64`);

const keyFileSchema = openObject({
  schema: z.literal('skerry.key/1'),
  keytype: z.literal('ed25519'),
  publicKey: publicKeySchema,
  kdf: openObject({
    name: z.literal('scrypt'),
    N: z
      .int()
      .min(1_024)
      .max(1_048_576)
      .refine((n) => Number.isInteger(Math.log2(n)), 'a power of two'),
    r: z.int().min(1).max(16),
    p: z.int().min(1).max(4),
    salt: base64Of(32),
  })
    // A hostile file must not make the reader allocate without bound.
    .refine((kdf) => 128 * kdf.N * kdf.r <= SCRYPT_MEMORY_BYTES, 'needs more memory than allowed'),
  sealed: openObject({
    name: z.literal('xsalsa20-poly1305'),
    nonce: base64Of(nacl.secretbox.nonceLength),
    box: base64Of(SEED_BYTES + nacl.secretbox.overheadLength),
  }),
});
type KeyFile = z.infer<typeof keyFileSchema>;

/** The secret a passphrase stands for: NFKC, so that the same characters typed on another keyboard open it too. */
export function passphraseSecret(passphrase: string): KeySecret {
  if (passphrase.length === 0) throw new SkerryError('TRUST_KEY_SECRET', 'the passphrase is empty');
  return new TextEncoder().encode(passphrase.normalize('NFKC'));
}

/** Reads a key file to seal with (at least 32 bytes); makes one of 32 random bytes, mode 0600, when `create` and it is not there. */
export async function keyFileSecret(path: string, options: { readonly create?: boolean } = {}): Promise<KeySecret> {
  if (options.create === true) await createExclusive(path, randomBytes(32));
  const bytes = await readBounded(path, KEY_SECRET_FILE_BYTES);
  if (bytes.byteLength < 32)
    throw new SkerryError('TRUST_KEY_SECRET', `${path} has ${bytes.byteLength} bytes; a key file needs at least 32`);
  return bytes;
}

/** Seals a seed: scrypt derives the key, XSalsa20-Poly1305 encrypts and authenticates. Returns the key file's bytes. */
export async function sealSeed(seed: Uint8Array, secret: KeySecret, cost: ScryptCost = PASSPHRASE_COST): Promise<Uint8Array> {
  const salt = randomBytes(32);
  const nonce = nacl.randomBytes(nacl.secretbox.nonceLength);
  const box = nacl.secretbox(seed, nonce, await derive(secret, salt, cost));
  const file: KeyFile = {
    schema: 'skerry.key/1',
    keytype: 'ed25519',
    publicKey: signingKeyFromSeed(seed).publicKey,
    kdf: { name: 'scrypt', N: cost.N, r: cost.r, p: cost.p, salt: salt.toString('base64') },
    sealed: { name: 'xsalsa20-poly1305', nonce: Buffer.from(nonce).toString('base64'), box: Buffer.from(box).toString('base64') },
  };
  return new TextEncoder().encode(`${JSON.stringify(file, undefined, 2)}\n`);
}

/** Opens key file bytes. Throws `TRUST_KEY_FILE` when they are not one, `TRUST_KEY_SECRET` when the secret is wrong. */
export async function openKey(bytes: Uint8Array, secret: KeySecret, what = 'key file'): Promise<SigningKey> {
  const file = parseJson(keyFileSchema, bytes, { what, maxBytes: KEY_FILE_BYTES, code: 'TRUST_KEY_FILE' });
  const key = await derive(secret, Buffer.from(file.kdf.salt, 'base64'), file.kdf);
  const seed = nacl.secretbox.open(Buffer.from(file.sealed.box, 'base64'), Buffer.from(file.sealed.nonce, 'base64'), key);
  if (seed === null) throw new SkerryError('TRUST_KEY_SECRET', `${what} cannot be decrypted with this secret`);
  const signingKey = signingKeyFromSeed(seed);
  if (signingKey.publicKey !== file.publicKey) throw new SkerryError('TRUST_KEY_FILE', `${what} names another public key than it holds`);
  return signingKey;
}

/** Makes a key and writes it sealed to `path` (mode 0600); throws `TRUST_KEY_EXISTS` when something is there. */
export async function createKeyFile(path: string, secret: KeySecret, cost: ScryptCost = PASSPHRASE_COST): Promise<SigningKey> {
  const seed = generateSeed();
  const sealed = await sealSeed(seed, secret, cost);
  if (!(await createExclusive(path, sealed))) throw new SkerryError('TRUST_KEY_EXISTS', `${path} already exists`);
  return signingKeyFromSeed(seed);
}

/** Reads and opens the key file at `path`. */
export async function readKeyFile(path: string, secret: KeySecret): Promise<SigningKey> {
  return openKey(await readBounded(path, KEY_FILE_BYTES), secret, path);
}

/** Opens the key file at `path`, or makes it when there is none. */
export async function openOrCreateKeyFile(path: string, secret: KeySecret, cost: ScryptCost = PASSPHRASE_COST): Promise<SigningKey> {
  try {
    return await readKeyFile(path, secret);
  } catch (cause) {
    if (errnoOf(cause instanceof SkerryError ? cause.cause : cause) !== 'ENOENT') throw cause;
    return createKeyFile(path, secret, cost);
  }
}

/** False when `path` exists; a hard link appears whole or not at all, and never replaces what another process made. */
async function createExclusive(path: string, bytes: Uint8Array): Promise<boolean> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeFileSynced(temporary, bytes, { mode: 0o600 });
    await link(temporary, path);
    await syncFolder(dirname(path));
    return true;
  } catch (cause) {
    if (errnoOf(cause) === 'EEXIST') return false;
    throw asSkerryError(cause, 'IO_FAILED');
  } finally {
    await rm(temporary, { force: true });
  }
}

async function readBounded(path: string, maxBytes: number): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw asSkerryError(cause, 'IO_FAILED');
  }
  if (bytes.byteLength > maxBytes) throw new SkerryError('TRUST_KEY_FILE', `${path} is larger than ${maxBytes} bytes`);
  return bytes;
}

function derive(secret: KeySecret, salt: Uint8Array, cost: ScryptCost): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const options = { N: cost.N, r: cost.r, p: cost.p, maxmem: 2 * SCRYPT_MEMORY_BYTES };
    scrypt(secret, salt, nacl.secretbox.keyLength, options, (cause, key) => {
      if (cause === null) resolve(key);
      else reject(asSkerryError(cause));
    });
  });
}
