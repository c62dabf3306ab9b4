import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { startEarlyWorkers, takeEarlyWorker } from '#packaging/program/early-workers.js';
import { PROJECT_ROOT } from '../kit/processes.js';

const WAITS = `require('node:worker_threads').parentPort.once('message', (said) => require('node:worker_threads').parentPort.postMessage(said))`;

afterEach(() => {
  globalThis.skerryEarlyWorkers = undefined;
});

describe('threads started early', () => {
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

  it('keep nobody from ending who never asks for them', () => {
    const module = pathToFileURL(path.join(PROJECT_ROOT, 'dist/packaging/program/early-workers.js')).href;
    const program = `import { Worker } from 'node:worker_threads';
      import { startEarlyWorkers } from '${module}';
      startEarlyWorkers(['store'], () => new Worker(${JSON.stringify(WAITS)}, { eval: true }));`;
    const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { timeout: 60_000 });
    expect([status, signal]).toEqual([0, null]);
  });
});
