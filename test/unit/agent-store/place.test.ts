import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { chunks } from '#shared/bundle/chunker.js';
import { bytesFrom, digestOfBytes, openStore, planOf } from '../../kit/agent-store.js';
import { coded } from '../../kit/coded.js';
import { tempFolder } from '../../kit/temp-folder.js';

const CONTENT = bytesFrom('an executable', 400_000);
const DIGEST = digestOfBytes(CONTENT);

describe('a file put outside of the store', () => {
  it('is whole, may be run, and replaces what was there', async () => {
    const folder = await tempFolder();
    const store = await openStore(folder);
    const plan = planOf(CONTENT, 100_000);
    const blob = await store.blobs.open(plan);
    for (const [index, { length }] of plan.pieces.entries())
      await blob.write(index, CONTENT.subarray(index * 100_000, index * 100_000 + length));
    await blob.finish();
    const target = path.join(folder, 'slot', 'program');
    await mkdir(path.dirname(target));
    await writeFile(target, 'before');
    await store.blobs.place(DIGEST, target, 0o755);
    expect(new Uint8Array(await readFile(target))).toEqual(CONTENT);
    expect((await stat(target)).mode & 0o777).toBe(0o755);
    expect(await store.blobs.digestAt(target)).toBe(DIGEST);
    await store.blobs.delete(DIGEST);
    expect(await store.blobs.digestAt(target)).toBe(DIGEST);
    expect(await readdir(path.dirname(target))).toEqual(['program']);
    await store.close();
  });

  it('is refused when it is not in the cache, or was damaged there, and leaves what was there', async () => {
    const folder = await tempFolder();
    const store = await openStore(folder);
    const target = path.join(folder, 'program');
    await writeFile(target, 'before');
    await expect(store.blobs.place(DIGEST, target, 0o755)).rejects.toThrow(coded('STORE_BLOB_MISSING'));
    await writeFile(store.blobs.path(DIGEST), 'damaged');
    await expect(store.blobs.place(DIGEST, target, 0o755)).rejects.toThrow(coded('STORE_BLOB_CORRUPT'));
    expect(await readFile(target, 'utf8')).toBe('before');
    expect(await store.blobs.digestAt(path.join(folder, 'nothing'))).toBeUndefined();
    await store.close();
  });
});

describe('a download beside a file that has most of it', () => {
  it('copies what is the same, wherever it lies there, and lacks the rest', async () => {
    const folder = await tempFolder();
    const outside = path.join(folder, 'running');
    // As an older build: other bytes at the beginning, so that everything after lies elsewhere.
    await writeFile(outside, Buffer.concat([bytesFrom('older', 70_001), CONTENT.subarray(65_000)]));
    const pieces: { length: number; digest: typeof DIGEST }[] = [];
    for await (const chunk of chunks([CONTENT])) pieces.push({ length: chunk.byteLength, digest: digestOfBytes(chunk) });
    const store = await openStore(folder);
    const reuseFiles = [path.join(folder, 'not there'), outside];
    const blob = await store.blobs.open({ digest: DIGEST, length: CONTENT.byteLength, pieces, reuse: [], reuseFiles });
    expect(blob.haveBytes).toBeGreaterThan(CONTENT.byteLength / 3);
    expect(blob.haveBytes).toBeLessThan(CONTENT.byteLength);
    let at = 0;
    for (const [index, { length }] of pieces.entries()) {
      await blob.write(index, CONTENT.subarray(at, at + length));
      at += length;
    }
    await blob.finish();
    expect(await store.blobs.verify(DIGEST)).toBe(true);
    await store.close();
  });
});
