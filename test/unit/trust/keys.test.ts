import { mkdtemp, readdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, property, uint8Array } from 'fast-check';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import {
  createKeyFile,
  KEY_FILE_COST,
  keyFileSecret,
  openKey,
  openOrCreateKeyFile,
  passphraseSecret,
  readKeyFile,
  sealSeed,
} from '#shared/trust/key-file.js';
import { generateSeed, generateSigningKey, publicKeySchema, signingKeyFromSeed, tufKeyId, verifySignature } from '#shared/trust/keys.js';

const secret = passphraseSecret('correct horse');
const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'skerry-keys-'));

const littleEndian = (bytes: Uint8Array): bigint => bytes.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);

describe('Ed25519 keys', () => {
  it('gives the key and signature of RFC 8032, 7.1, TEST 2', () => {
    const key = signingKeyFromSeed(Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex'));
    expect(key.publicKey).toBe('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
    const signature = key.sign(Buffer.from('72', 'hex'));
    expect(Buffer.from(signature).toString('hex')).toBe(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    );
    expect(verifySignature(key.publicKey, Buffer.from('72', 'hex'), signature)).toBe(true);
    expect(verifySignature(key.publicKey, Buffer.from('73', 'hex'), signature)).toBe(false);
    expect(verifySignature(key.publicKey, Buffer.from('72', 'hex'), signature.subarray(1))).toBe(false);
  });

  it('signs as another implementation does, to the byte, and each verifies the other', () => {
    assert(
      property(uint8Array({ minLength: 32, maxLength: 32 }), uint8Array({ maxLength: 300 }), (seed, message) => {
        const key = signingKeyFromSeed(seed);
        const other = nacl.sign.keyPair.fromSeed(seed);
        expect(key.publicKey).toBe(Buffer.from(other.publicKey).toString('hex'));
        const signature = nacl.sign.detached(message, other.secretKey);
        expect(Buffer.from(key.sign(message)).equals(signature)).toBe(true);
        expect(verifySignature(key.publicKey, message, signature)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it('verifies nothing with a key or a signature that is none', () => {
    const key = signingKeyFromSeed(Buffer.alloc(32, 7));
    const message = Buffer.from('message');
    const signature = Buffer.from(key.sign(message));
    // S + L is the same number modulo the order of the group (RFC 8032, 5.1.7: S must be below L).
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const s = littleEndian(signature.subarray(32)) + order;
    const shifted = Buffer.concat([
      signature.subarray(0, 32),
      Buffer.from(Uint8Array.from({ length: 32 }, (_, i) => Number((s >> BigInt(8 * i)) & 255n))),
    ]);
    expect(verifySignature(key.publicKey, message, shifted)).toBe(false);
    for (const point of ['00', 'ff', '02', 'ee'].map((byte) => publicKeySchema.parse(byte.repeat(32)))) {
      expect(verifySignature(point, message, signature)).toBe(false);
    }
  });

  it('computes the key id over the canonical key object', () => {
    // SHA-256 of {"keytype":"ed25519","keyval":{"public":"3d40...660c"},"scheme":"ed25519"}
    const key = signingKeyFromSeed(Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex'));
    expect(key.keyId).toBe(tufKeyId(key.publicKey));
    expect(key.keyId).toMatch(/^[0-9a-f]{64}$/);
    expect(generateSigningKey().keyId).not.toBe(key.keyId);
  });

  it('refuses a seed of another length', () => {
    expect(() => signingKeyFromSeed(new Uint8Array(31))).toThrow(expect.objectContaining({ code: 'TRUST_KEY_FILE' }));
  });
});

describe('sealed key files', () => {
  it('open with the same secret only, and are readable by their owner only', async () => {
    const path = join(await folder(), 'a.key.json');
    const made = await createKeyFile(path, secret, KEY_FILE_COST);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readKeyFile(path, secret)).publicKey).toBe(made.publicKey);
    await expect(readKeyFile(path, passphraseSecret('incorrect horse'))).rejects.toMatchObject({ code: 'TRUST_KEY_SECRET' });
  });

  it('are never overwritten, and leave nothing else in the folder', async () => {
    const parent = await folder();
    const path = join(parent, 'a.key.json');
    const [one, two] = await Promise.allSettled([createKeyFile(path, secret, KEY_FILE_COST), createKeyFile(path, secret, KEY_FILE_COST)]);
    expect([one.status, two.status].sort()).toEqual(['fulfilled', 'rejected']);
    const made = await readKeyFile(path, secret);
    expect((await openOrCreateKeyFile(path, secret)).publicKey).toBe(made.publicKey);
    expect(await readdir(parent)).toEqual(['a.key.json']);
  });

  it('open with a passphrase typed in another Unicode form', async () => {
    const sealed = await sealSeed(generateSeed(), passphraseSecret('caf\u00e9'), KEY_FILE_COST);
    await expect(openKey(sealed, passphraseSecret('cafe\u0301'))).resolves.toBeDefined();
  });

  it('refuse an empty passphrase', () => {
    expect(() => passphraseSecret('')).toThrow(expect.objectContaining({ code: 'TRUST_KEY_SECRET' }));
  });

  it.each([
    ['N not a power of two', { N: 1_025 }],
    ['N beyond the bound', { N: 2_097_152 }],
    ['more memory than allowed', { N: 1_048_576, r: 8 }],
    ['N below the bound', { N: 512 }],
    ['a short salt', { salt: 'AAAA' }],
    ['another function', { name: 'pbkdf2' }],
  ])('refuse parameters out of bounds: %s', async (_name, change) => {
    const sealed: unknown = JSON.parse(Buffer.from(await sealSeed(generateSeed(), secret, KEY_FILE_COST)).toString());
    const file = sealed as { kdf: object };
    const bytes = Buffer.from(JSON.stringify({ ...file, kdf: { ...file.kdf, ...change } }));
    await expect(openKey(bytes, secret)).rejects.toMatchObject({ code: 'TRUST_KEY_FILE' });
  });

  it('notice a public key that is not theirs', async () => {
    const sealed: unknown = JSON.parse(Buffer.from(await sealSeed(generateSeed(), secret, KEY_FILE_COST)).toString());
    const bytes = Buffer.from(JSON.stringify({ ...(sealed as object), publicKey: generateSigningKey().publicKey }));
    await expect(openKey(bytes, secret)).rejects.toMatchObject({ code: 'TRUST_KEY_FILE' });
  });

  it('can be sealed with a key file, made on demand', async () => {
    const path = join(await folder(), 'unlock.bin');
    const unlock = await keyFileSecret(path, { create: true });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(Buffer.from(await keyFileSecret(path, { create: true }))).toEqual(Buffer.from(unlock));
    await writeFile(path, 'short');
    await expect(keyFileSecret(path)).rejects.toMatchObject({ code: 'TRUST_KEY_SECRET' });
    await expect(keyFileSecret(`${path}.absent`)).rejects.toMatchObject({ code: 'IO_FAILED' });
  });
});
