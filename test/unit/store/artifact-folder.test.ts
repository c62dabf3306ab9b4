import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ArtifactFolder } from '#hub/store/artifact-folder.js';
import { type Digest, digestSchema } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { coded } from '../../kit/coded.js';

let folder: string;
let storage: ArtifactFolder;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skerry-artifacts-'));
  storage = await ArtifactFolder.open(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const digestOf = (bytes: Uint8Array): Digest => digestSchema.parse(createHash('sha256').update(bytes).digest('hex'));

async function* pieces(bytes: Uint8Array, size: number, failAfter = Number.POSITIVE_INFINITY): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) {
    if (at >= failAfter) throw new SkerryError('ARTIFACT_TRUNCATED', 'cut');
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

describe('storing', () => {
  const bytes = randomBytes(100_000);
  const digest = digestOf(bytes);

  test('keeps what has the digest, and reads any range of it', async () => {
    expect(await storage.put(digest, pieces(bytes, 7_777), bytes.byteLength)).toEqual({ length: 100_000 });
    expect([await storage.has(digest), await storage.length(digest)]).toEqual([true, 100_000]);
    expect(Buffer.from(await storage.readRange(digest, 99_000, 1_000)).equals(bytes.subarray(99_000))).toBe(true);
    expect(await storage.usage()).toEqual({ artifacts: 1, bytes: 100_000 });
  });

  test('reading past the end, or what is not here, is refused', async () => {
    await expect(storage.readRange(digest, 99_999, 2)).rejects.toEqual(coded('ARTIFACT_UNKNOWN', 'ends before'));
    await expect(storage.readRange(digestOf(Buffer.from('other')), 0, 1)).rejects.toEqual(coded('ARTIFACT_UNKNOWN', 'no artifact'));
  });

  test.each([
    ['other bytes', pieces(Buffer.from('other bytes'), 4), undefined, 'ARTIFACT_DIGEST_MISMATCH'],
    ['fewer bytes', pieces(Buffer.from('few'), 4), 5, 'ARTIFACT_TRUNCATED'],
    ['more bytes', pieces(Buffer.from('too many'), 4), 5, 'INPUT_TOO_LARGE'],
    ['a source that fails', pieces(Buffer.from('a source that fails'), 4, 8), undefined, 'ARTIFACT_TRUNCATED'],
  ] as const)('%s leave nothing behind', async (_what, source, length, code) => {
    const wanted = digestOf(Buffer.from('never stored'));
    await expect(storage.put(wanted, source, length)).rejects.toEqual(coded(code));
    expect(await storage.has(wanted)).toBe(false);
    expect(await readdir(join(folder, 'incoming'))).toEqual([]);
  });

  test('the same artifact may be uploaded twice at once', async () => {
    await Promise.all([storage.put(digest, pieces(bytes, 1_000)), storage.put(digest, pieces(bytes, 3_000))]);
    expect(await storage.length(digest)).toBe(100_000);
  });

  test('deleting twice is no error', async () => {
    await storage.delete(digest);
    await storage.delete(digest);
    expect(await storage.has(digest)).toBe(false);
  });
});

test('what a crash cut off is cleared away on opening', async () => {
  await writeFile(join(folder, 'incoming', 'half'), 'half a file');
  await ArtifactFolder.open(folder);
  expect(await readdir(join(folder, 'incoming'))).toEqual([]);
});

describe('on a full disk', () => {
  let full: string | undefined;
  beforeAll(async () => {
    const mount = join(folder, 'full');
    await mkdir(mount);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mount], { stdio: 'ignore' });
      full = mount;
    } catch {
      // Not allowed to mount here; the test says so.
    }
  });
  afterAll(() => {
    if (full !== undefined) execFileSync('umount', [full]);
  });

  test('an upload is refused with DISK_FULL and leaves the space it took', async (context) => {
    context.skip(full === undefined, 'mounting a tmpfs is not allowed here');
    const small = await ArtifactFolder.open(full ?? '');
    const bytes = randomBytes(1_000_000);
    await expect(small.put(digestOf(bytes), pieces(bytes, 50_000))).rejects.toEqual(coded('DISK_FULL'));
    expect(await readdir(join(full ?? '', 'incoming'))).toEqual([]);
    const fits = randomBytes(50_000);
    expect(await small.put(digestOf(fits), pieces(fits, 50_000))).toEqual({ length: 50_000 });
  });
});
