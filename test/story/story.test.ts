import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROJECT_ROOT } from '../kit/processes.js';
import { until } from '../kit/until.js';
import type { Report } from './report.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-story-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function startStory(name: string, args: readonly string[]): { child: ChildProcess; text: () => string; ended: Promise<number | null> } {
  const command = [path.join(PROJECT_ROOT, 'dist/test/story/main.js'), '--devices', '2', '--keep', path.join(folder, name), ...args];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { child, text: () => text, ended: new Promise((resolve) => child.once('exit', (code) => resolve(code))) };
}

/** Processes of this machine whose command line names `what`. */
function processesNaming(what: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(what);
      } catch {
        return false;
      }
    });
}

describe('npm start', () => {
  test('tells the whole story, two of them side by side, and reports every step as held', async () => {
    const stories = ['one', 'two'].map((name) => ({
      name,
      ...startStory(name, ['--once', '--report', path.join(folder, `${name}.json`)]),
    }));
    for (const { name, ended, text } of stories) {
      expect(await ended, text()).toBe(0);
      const report = JSON.parse(await readFile(path.join(folder, `${name}.json`), 'utf8')) as Report;
      expect(report.held).toBe(true);
      expect(report.steps.filter((step) => !step.held)).toEqual([]);
    }
    await until('every process to be gone', () => processesNaming(folder).length === 0);
  }, 600_000);

  test.runIf(process.platform === 'linux')(
    'leaves no process behind when it is interrupted',
    async () => {
      const { child, ended } = startStory('three', []);
      await until('hub and agents to run', () => processesNaming(path.join(folder, 'three', 'devices')).length >= 2, {
        deadlineMs: 200_000,
      });
      child.kill('SIGINT');
      await ended;
      await until('every process to be gone', () => processesNaming(path.join(folder, 'three')).length === 0);
    },
    300_000,
  );

  test.runIf(process.platform === 'linux')(
    'leaves no process behind when only the one that started it is ended, as SIGTERM to npm does',
    async () => {
      const keep = path.join(folder, 'four');
      const command = `"${process.execPath}" "${path.join(PROJECT_ROOT, 'dist/test/story/main.js')}" --devices 1 --keep "${keep}"; true`;
      const shell = spawn('/bin/sh', ['-c', command], { stdio: 'ignore' });
      // The shell, the story and the hub.
      await until('the hub to run', () => processesNaming(keep).length >= 3, { deadlineMs: 200_000 });
      shell.kill('SIGKILL');
      await until('every process to be gone', () => processesNaming(keep).length === 0, { deadlineMs: 60_000 });
    },
    300_000,
  );
});
