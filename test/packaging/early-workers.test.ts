import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { leavesForSlot, startEarlyWorkers, takeEarlyWorker } from '#packaging/program/early-workers.js';
import { PROJECT_ROOT } from '../kit/processes.js';
import { tempFolder } from '../kit/temp-folder.js';

const WAITS = `require('node:worker_threads').parentPort.once('message', (said) => require('node:worker_threads').parentPort.postMessage(said))`;

afterEach(() => {
  globalThis.skerryEarlyWorkers = undefined;
});

describe('threads started early', () => {
  it('are for a launcher that stays: not where its environment names a data folder with a release in a slot', async () => {
    const data = await tempFolder();
    const env = { SKERRY_AGENT_DATA: data };
    expect([leavesForSlot({}), leavesForSlot(env)]).toEqual([false, false]);
    await mkdir(path.join(data, 'agents'));
    const write = (slots: object): Promise<void> => writeFile(path.join(data, 'agents', 'slot.json'), JSON.stringify(slots, undefined, 2));
    await write({ good: null, before: null, trying: null, refused: { version: 2 } });
    expect(leavesForSlot(env)).toBe(false);
    await write({ good: { slot: 'a' }, before: null, trying: null, refused: null });
    expect(leavesForSlot(env)).toBe(true);
  });

  it('are handed to whoever asks first, and hear what is said to them then', async () => {
    startEarlyWorkers(['store', 'instance'], () => new Worker(WAITS, { eval: true }));
    const worker = takeEarlyWorker('store');
    expect(takeEarlyWorker('store')).toBeUndefined();
    worker?.postMessage('hello', []);
    expect(await once(worker ?? new Worker(''), 'message')).toEqual(['hello']);
    expect(worker?.listenerCount('error')).toBe(0);
    await takeEarlyWorker('instance')?.terminate();
  });

  it('are not handed out once they have ended', async () => {
    const ended: Promise<unknown>[] = [];
    startEarlyWorkers(['store', 'instance'], (name) => {
      const worker = new Worker(name === 'store' ? `throw new Error('no memory')` : '', { eval: true });
      ended.push(once(worker, 'exit').catch(() => undefined));
      worker.ref();
      return worker;
    });
    await Promise.all(ended);
    expect([takeEarlyWorker('store'), takeEarlyWorker('instance')]).toEqual([undefined, undefined]);
  });

  it('are none where none was started, or could be', () => {
    expect(takeEarlyWorker('store')).toBeUndefined();
    startEarlyWorkers(['store'], () => {
      throw new Error('no memory');
    });
    expect(takeEarlyWorker('store')).toBeUndefined();
  });

  /** What a process of its own prints that starts one early and goes on with `then`. */
  async function ownProcess(then: string): Promise<{ status: number | null; stdout: string }> {
    const module = pathToFileURL(path.join(PROJECT_ROOT, 'dist/packaging/program/early-workers.js')).href;
    const program = `import { Worker } from 'node:worker_threads';
      import { startEarlyWorkers, takeEarlyWorker } from '${module}';
      startEarlyWorkers(['store'], () => new Worker(${JSON.stringify(WAITS)}, { eval: true }));
      ${then}`;
    const file = path.join(await tempFolder(), 'program.mjs');
    await writeFile(file, program);
    return spawnSync(process.execPath, [file], { timeout: 60_000, encoding: 'utf8' });
  }

  it('keep nobody from ending who never asks for them', async () => {
    expect(await ownProcess('')).toMatchObject({ status: 0, stdout: '' });
  });

  it('keep the process once they were asked for', async () => {
    // Whoever listens for messages keeps the process anyway; one who waits for the end of the thread does not.
    const then = `const worker = takeEarlyWorker('store');
      worker.once('exit', () => console.log('ended'));
      worker.postMessage('go');`;
    expect(await ownProcess(then)).toMatchObject({ status: 0, stdout: 'ended\n' });
  });
});
