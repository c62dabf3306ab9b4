import { execFile } from 'node:child_process';
import { mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bitIndices } from '#shared/bundle/bitmap.js';
import { bytesFrom, DEVICE, digestOfBytes, openStore, piecesOf, planOf } from '../../kit/agent-store.js';
import { coded } from '../../kit/coded.js';
import { tempFolder } from '../../kit/temp-folder.js';

const SIZE = 1000;
const CONTENT = bytesFrom('content', 10_500);
const PLAN = planOf(CONTENT, SIZE);
const PIECES = piecesOf(CONTENT, SIZE);

describe('a download', () => {
  it('becomes a file once every piece is there', async () => {
    const folder = await tempFolder();
    const store = await openStore(folder);
    const { blobs } = store;
    const blob = await blobs.open(PLAN);
    expect([...bitIndices(blob.missing())]).toEqual(PIECES.map((_, index) => index));
    for (const [index, piece] of PIECES.entries()) await blob.write(index, piece);
    await blob.write(3, PIECES[3]!);
    expect(blob.haveBytes).toBe(CONTENT.byteLength);
    expect(await blobs.has(PLAN.digest)).toBe(false);
    await blob.finish();
    await blob.close();
    expect(await blobs.has(PLAN.digest)).toBe(true);
    expect(await blobs.read(PLAN.digest, 100_000)).toEqual(CONTENT);
    expect(new Uint8Array(await readFile(blobs.path(PLAN.digest)))).toEqual(CONTENT);
    expect(await blobs.list()).toEqual([{ digest: PLAN.digest, bytes: CONTENT.byteLength, complete: true }]);
    expect(await blobs.verify(PLAN.digest)).toBe(true);
    await expect(blobs.read(PLAN.digest, 100)).rejects.toThrow(coded('INPUT_TOO_LARGE'));
    await blobs.delete(PLAN.digest);
    expect(await blobs.list()).toEqual([]);
    await store.close();
  });

  it('resumes with what is really in the file, whatever was written there', async () => {
    const folder = await tempFolder();
    const first = await openStore(folder);
    const begun = await first.blobs.open(PLAN);
    for (const index of [0, 4, 10]) await begun.write(index, PIECES[index]!);
    await first.close();
    // A power cut left garbage where a piece was written.
    const file = await open(path.join(folder, 'blobs', `${PLAN.digest}.partial`), 'r+');
    await file.write(bytesFrom('garbage', 100), 0, 100, 4 * SIZE + 17);
    await file.close();

    const second = await openStore(folder);
    const resumed = await second.blobs.open(PLAN);
    expect([...bitIndices(resumed.missing())]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(resumed.haveBytes).toBe(1500);
    for (const [index, piece] of PIECES.entries()) await resumed.write(index, piece);
    await resumed.finish();
    expect(await second.blobs.read(PLAN.digest, 100_000)).toEqual(CONTENT);
    await second.close();
  });

  it('refuses a wrong piece and keeps asking for it', async () => {
    const store = await openStore(await tempFolder());
    const { blobs } = store;
    const blob = await blobs.open(PLAN);
    await expect(blob.write(1, PIECES[2]!)).rejects.toThrow(coded('BUNDLE_CHUNK_MISMATCH'));
    await expect(blob.write(1, PIECES[1]!.subarray(1))).rejects.toThrow(coded('BUNDLE_CHUNK_MISMATCH'));
    expect([...bitIndices(blob.missing())]).toContain(1);
    await expect(blob.finish()).rejects.toThrow(coded('STORE_BLOB_MISSING'));
    await store.close();
  });

  it('without piece digests trusts nothing from before and checks the whole', async () => {
    const folder = await tempFolder();
    const store = await openStore(folder);
    const { blobs } = store;
    const plan = planOf(CONTENT, SIZE, { pieceDigests: false });
    const wrong = await blobs.open(plan);
    for (const [index, piece] of PIECES.entries()) await wrong.write(index, index === 5 ? PIECES[6]! : piece);
    await expect(wrong.finish()).rejects.toThrow(coded('BUNDLE_DIGEST_MISMATCH'));
    await wrong.close();
    expect(await readdir(path.join(folder, 'blobs'))).toEqual([]);
    const right = await blobs.open(plan);
    expect([...bitIndices(right.missing())]).toHaveLength(PIECES.length);
    for (const [index, piece] of PIECES.entries()) await right.write(index, piece);
    await right.finish();
    expect(await blobs.has(plan.digest)).toBe(true);
    await store.close();
  });

  it('copies what other files hold, and fills equal pieces at once', async () => {
    const store = await openStore(await tempFolder());
    const { blobs } = store;
    const old = await blobs.open(PLAN);
    for (const [index, piece] of PIECES.entries()) await old.write(index, piece);
    await old.finish();
    await old.close();
    const fresh = bytesFrom('fresh', SIZE);
    const next = Buffer.concat([PIECES[2]!, fresh, PIECES[7]!, fresh, PIECES[7]!]);
    const chunks = PIECES.map((piece) => [digestOfBytes(piece), piece.byteLength] as const);
    const blob = await blobs.open(planOf(next, SIZE, { reuse: [{ digest: PLAN.digest, chunks }] }));
    expect([...bitIndices(blob.missing())]).toEqual([1, 3]);
    await blob.write(3, fresh);
    expect([...bitIndices(blob.missing())]).toEqual([]);
    await blob.finish();
    expect(await blobs.read(digestOfBytes(next), 10_000)).toEqual(new Uint8Array(next));
    await store.close();
  });

  it('is refused when it does not fit the budget, and one at a time', async () => {
    const store = await openStore(await tempFolder(), { diskBudgetBytes: 15_000 });
    const { blobs } = store;
    const blob = await blobs.open(PLAN);
    expect(await blobs.usage()).toEqual({ usedBytes: CONTENT.byteLength, budgetBytes: 15_000 });
    await expect(blobs.open(PLAN)).rejects.toThrow(coded('STORE_BLOB_BUSY'));
    await expect(blobs.open(planOf(bytesFrom('other', 5_000), SIZE))).rejects.toThrow(coded('STORE_OVER_BUDGET'));
    await blob.close();
    await (await blobs.open(PLAN)).close();
    await store.close();
  });

  it('leaves the reserve of the disk alone', async () => {
    const store = await openStore(await tempFolder(), { diskReserveBytes: Number.MAX_SAFE_INTEGER });
    const { blobs } = store;
    const blob = await blobs.open(PLAN);
    await expect(blob.write(0, PIECES[0]!)).rejects.toThrow(coded('DISK_FULL'));
    await store.close();
  });
});

describe('a damaged file', () => {
  it('is found and deleted', async () => {
    const store = await openStore(await tempFolder());
    const { blobs } = store;
    await writeFile(blobs.path(PLAN.digest), bytesFrom('damaged', 10_500));
    expect(await blobs.verify(PLAN.digest)).toBe(false);
    expect(await blobs.has(PLAN.digest)).toBe(false);
    await writeFile(blobs.path(PLAN.digest), bytesFrom('damaged', 10_500));
    await expect(blobs.read(PLAN.digest, 100_000)).rejects.toThrow(coded('STORE_BLOB_CORRUPT'));
    await expect(blobs.read(PLAN.digest, 100_000)).rejects.toThrow(coded('STORE_BLOB_MISSING'));
    await store.close();
  });
});

describe('a full disk', () => {
  it('is said, corrupts nothing, and what comes after goes on', async (context) => {
    const folder = path.join(await tempFolder(), 'small');
    await mkdir(folder);
    const run = promisify(execFile);
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder]);
    } catch (cause) {
      context.skip(`this machine allows no mounts: ${String(cause)}`);
      return;
    }
    onTestFinished(async () => void (await run('umount', ['-l', folder])));
    const large = bytesFrom('large', 300_000);
    const pieces = piecesOf(large, 30_000);
    const plan = planOf(large, 30_000);
    const first = await openStore(folder);
    await first.state.set('served', 'before');
    // Something else takes nearly all of the space.
    const free = 512 * 1024 - (await stat(path.join(folder, 'agent.db'))).size;
    await writeFile(path.join(folder, 'other'), new Uint8Array(Math.max(0, free - 250_000)));
    const blob = await first.blobs.open(plan);
    let refused: unknown;
    for (const [index, piece] of pieces.entries()) await blob.write(index, piece).catch((cause: unknown) => (refused ??= cause));
    expect(refused).toEqual(coded('DISK_FULL'));
    const event = { device: DEVICE, at: '2026-01-01T00:00:00Z', kind: 'agent.started', detail: { filler: 'x'.repeat(2000) } };
    const appends = await Promise.allSettled(Array.from({ length: 200 }, () => first.outbox.append('event', event)));
    const unstored = appends.find((append) => append.status === 'rejected');
    expect(unstored?.reason).toEqual(coded('DISK_FULL'));
    const stored = (await first.outbox.stats()).records;
    await first.close();

    // Even a start on the full disk works, and knows what is served.
    const second = await openStore(folder);
    expect(second.recovery).toBeUndefined();
    expect(await second.state.get('served')).toBe('before');
    expect((await second.outbox.stats()).records).toBe(stored);
    await writeFile(path.join(folder, 'other'), '');
    const resumed = await second.blobs.open(plan);
    expect(resumed.haveBytes).toBeGreaterThan(0);
    expect(resumed.haveBytes).toBeLessThan(large.byteLength);
    for (const [index, piece] of pieces.entries()) await resumed.write(index, piece);
    await resumed.finish();
    expect(await second.blobs.read(plan.digest, 1_000_000)).toEqual(large);
    const { boot } = await second.outbox.append('event', { device: DEVICE, at: '2026-01-01T00:00:00Z', kind: 'agent.started' });
    expect(boot).toBe(second.boot);
    await second.close();
  });
});
