import { existsSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Digest } from '#shared/bundle/names.js';
import type { AgentStore } from '#agent/store/open.js';
import { bytesFrom, digestOfBytes, openStore, piecesOf, planOf } from '../../kit/agent-store.js';
import { tempFolder } from '../../kit/temp-folder.js';

// Reading this file from its beginning fails as a bad sector does, with EIO.
const BAD_SECTOR = '/proc/self/mem';
const SIZE = 1_000;
const CONTENT = bytesFrom('content', 3_500);
const OTHER = bytesFrom('other', 100);

async function storeWithBadFile(digest: Digest): Promise<{ store: AgentStore; folder: string }> {
  const folder = await tempFolder();
  const store = await openStore(folder);
  onTestFinished(() => store.close());
  await symlink(BAD_SECTOR, path.join(folder, 'blobs', digest));
  return { store, folder };
}

describe.runIf(existsSync(BAD_SECTOR))('a file the disk cannot read any more', () => {
  it('is damaged: it is deleted, and can be fetched again', async () => {
    const plan = planOf(CONTENT, SIZE);
    const { store } = await storeWithBadFile(plan.digest);
    expect(await store.blobs.verify(plan.digest)).toBe(false);
    expect(await store.blobs.has(plan.digest)).toBe(false);
  });

  it('nor follow hides no other, and is replaced by what is fetched', async () => {
    const plan = planOf(CONTENT, SIZE);
    const { store, folder } = await storeWithBadFile(digestOfBytes(OTHER));
    await symlink(plan.digest, path.join(folder, 'blobs', plan.digest));
    expect((await store.blobs.list()).map(({ digest }) => digest)).toEqual([digestOfBytes(OTHER)]);
    const blob = await store.blobs.open(plan);
    for (const [index, piece] of piecesOf(CONTENT, SIZE).entries()) await blob.write(index, piece);
    await blob.finish();
    await blob.close();
    expect(await store.blobs.verify(plan.digest)).toBe(true);
  });

  it('does not keep another from being downloaded that would take pieces of it', async () => {
    const bad = digestOfBytes(OTHER);
    const { store, folder } = await storeWithBadFile(bad);
    const chunks = piecesOf(CONTENT, SIZE).map((piece) => [digestOfBytes(piece), piece.byteLength] as const);
    const outside = path.join(folder, 'outside');
    await symlink(BAD_SECTOR, outside);
    const blob = await store.blobs.open({ ...planOf(CONTENT, SIZE, { reuse: [{ digest: bad, chunks }] }), reuseFiles: [outside] });
    for (const [index, piece] of piecesOf(CONTENT, SIZE).entries()) await blob.write(index, piece);
    await blob.finish();
    await blob.close();
    expect(await store.blobs.verify(digestOfBytes(CONTENT))).toBe(true);
  });
});
