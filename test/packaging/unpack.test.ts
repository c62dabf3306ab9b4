import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { NativePart } from '#packaging/program/native-manifest.js';
import { hashFile, sweepOthers, unpackPart } from '#packaging/program/unpack.js';
import { coded } from '../kit/coded.js';
import { PROJECT_ROOT } from '../kit/processes.js';
import { tempFolder } from '../kit/temp-folder.js';

const bytes = Buffer.from('a library '.repeat(150_000));
const part: NativePart = { name: 'a.node', sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.byteLength, needs: [] };
const never = (): Uint8Array => {
  throw new Error('the part was read although the file is right');
};

describe('unpacking a native library', () => {
  it('writes it once, for its owner only, and afterwards only reads', async () => {
    const folder = path.join(await tempFolder(), 'native', 'digest');
    const file = unpackPart(folder, part, () => bytes);
    expect(bytes.equals(await readFile(file))).toBe(true);
    expect((await stat(file)).mode & 0o777).toBe(0o500);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect(unpackPart(folder, part, never)).toBe(file);
    expect(await readdir(folder)).toEqual(['a.node']);
  });

  it.skipIf(process.platform !== 'linux')('tells the system how it reads a file, also one it has just written (Linux)', async () => {
    const folder = await tempFolder();
    const told: string[] = [];
    const advise = (fd: number): void => void told.push(readlinkSync(`/proc/self/fd/${fd}`));
    const file = unpackPart(folder, part, () => bytes, advise);
    expect(told).toEqual([file]);
    unpackPart(folder, part, never, advise);
    expect(told).toEqual([file, file]);
    expect(hashFile(file, advise)).toBe(part.sha256);
    expect(told).toHaveLength(3);
  });

  it.each([
    ['cut off', bytes.subarray(0, 1000)],
    ['empty', Buffer.alloc(0)],
    ['of the same length with one bit changed', Buffer.from(bytes).fill(bytes.readUInt8(77) ^ 1, 77, 78)],
  ])('replaces one that is %s', async (_what, damaged) => {
    const folder = await tempFolder();
    await writeFile(path.join(folder, part.name), damaged);
    expect(bytes.equals(await readFile(unpackPart(folder, part, () => bytes)))).toBe(true);
    expect(await readdir(folder)).toEqual(['a.node']);
  });

  it('removes what processes left that were killed while they wrote it', async () => {
    const folder = await tempFolder();
    for (const left of ['a.node.0123456789ab.tmp', 'a.node.ba9876543210.tmp', 'b.node.0123456789ab.tmp']) {
      await writeFile(path.join(folder, left), bytes.subarray(0, 1000));
    }
    unpackPart(folder, part, () => bytes);
    expect(await readdir(folder)).toEqual(['a.node', 'b.node.0123456789ab.tmp']);
  });

  it('works for many at once, each of which may be taken for one that was killed', async () => {
    const module = pathToFileURL(path.join(PROJECT_ROOT, 'dist/packaging/program/unpack.js')).href;
    const code = `const { parentPort, workerData: { folder, part, bytes } } = require('node:worker_threads');
      import('${module}').then(({ unpackPart }) => {
        parentPort.once('message', () => parentPort.postMessage(unpackPart(folder, part, () => bytes)));
        parentPort.postMessage('ready');
      });`;
    for (let round = 0; round < 5; round += 1) {
      const folder = path.join(await tempFolder(), 'native');
      const workers = Array.from({ length: 6 }, () => new Worker(code, { eval: true, workerData: { folder, part, bytes } }));
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      const done = workers.map((worker) => once(worker, 'message'));
      for (const worker of workers) worker.postMessage('go', []);
      expect(new Set((await Promise.all(done)).flat())).toEqual(new Set([path.join(folder, part.name)]));
      expect(await readdir(folder)).toEqual([part.name]);
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
  });

  it('refuses a part that is damaged inside the executable, and writes nothing', async () => {
    const folder = await tempFolder();
    expect(() => unpackPart(folder, part, () => bytes.subarray(1))).toThrow(coded('NATIVE_DAMAGED'));
    expect(await readdir(folder)).toEqual([]);
  });

  it('says that the folder cannot be written', async () => {
    const blocked = path.join(await tempFolder(), 'file');
    await writeFile(blocked, '');
    expect(() => unpackPart(path.join(blocked, 'native'), part, () => bytes)).toThrow(coded('NATIVE_UNWRITABLE'));
  });

  it('removes what others unpacked that is in use no longer, and nothing else', async () => {
    const home = await tempFolder();
    const [mine, slot, other] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];
    for (const name of [mine, slot, other, 'notes']) await mkdir(path.join(home, name));
    sweepOthers(home, new Set([mine, slot]));
    expect(await readdir(home)).toEqual([mine, slot, 'notes']);
  });
});
