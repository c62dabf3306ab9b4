import { appendFile, chmod, copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { bundleProgram } from '#packaging/build/bundle.js';
import { makeExecutable } from '#packaging/build/executable.js';
import { gatherNatives } from '#packaging/build/natives.js';
import { fetchNode } from '#packaging/build/node-runtime.js';
import { PROGRAMS, TARGETS } from '#packaging/targets.js';
import { onceInRun } from '../kit/once.js';

/**
 * What is wrong with a release: it ends at once, hangs before any of the agent runs or after it came up, reaches no network, or ends at
 * once where the data folder holds a file `SPOILT`.
 */
export type Fault = 'none' | 'crash' | 'hang' | 'hang-later' | 'deaf' | 'spoils';
/** Stands for what changes on a device long after a release was found good. */
export const SPOILT = 'spoilt';

/** What runs before the agent's own code in a release of the tests: its name and fault stand in the last bytes of the executable. */
const FAULTS = String.raw`
(() => {
  const fs = require('node:fs');
  const file = fs.openSync(process.execPath, 'r');
  const end = Buffer.alloc(32);
  fs.readSync(file, end, 0, 32, fs.fstatSync(file).size - 32);
  fs.closeSync(file);
  const [, release, fault] = / (\S+) fault=([a-z-]+) /.exec(end.toString('latin1')) ?? [];
  globalThis.releaseOfTest = release;
  if (process.argv[2] !== 'run') return;
  const data = process.argv[process.argv.indexOf('--data') + 1];
  if (fault === 'spoils' && fs.existsSync(data + '/${SPOILT}')) process.kill(process.pid, 'SIGSEGV');
  if (fault === 'crash') process.kill(process.pid, 'SIGSEGV');
  if (fault === 'hang') for (;;);
  if (fault === 'hang-later') setTimeout(() => { for (;;); }, 3000);
  if (fault !== 'deaf') return;
  const { Socket } = require('node:net');
  const { connect } = Socket.prototype;
  Socket.prototype.connect = function (...args) {
    const [to] = args.flat();
    return to?.path === undefined ? this : connect.apply(this, args);
  };
})();
`;

export interface Releases {
  /** The agent as it is packaged. */
  readonly packaged: string;
  /** An executable that calls itself `release` and has a fault. */
  make(release: string, fault: Fault): Promise<string>;
}

/** The real executable and one more, of which every release of the tests is a copy in `folder`; both are built once in a run. */
export async function buildReleases(folder: string): Promise<Releases> {
  const { packaged, base } = await onceInRun('releases', buildExecutables);
  return {
    packaged,
    async make(release, fault) {
      const file = path.join(folder, release);
      await mkdir(path.dirname(file), { recursive: true });
      await copyFile(base, file);
      await chmod(file, 0o755);
      await appendFile(file, ` ${release} fault=${fault} `.padStart(32));
      return file;
    },
  };
}

async function buildExecutables(folder: string): Promise<{ packaged: string; base: string }> {
  const program = PROGRAMS.agent;
  const target = TARGETS['linux-x64'];
  const node = await fetchNode(target);
  const natives = await gatherNatives(target, node, path.join(folder, 'native'));
  const bundle = await bundleProgram(program, natives.manifest);
  const parts = { program, target, node, natives, hostNode: node, say: () => undefined };
  const packaged = await makeExecutable({ ...parts, bundle, work: path.join(folder, 'packaged') });
  const scripts = new Map(bundle.scripts);
  const main = Buffer.from(scripts.get('main') ?? '').toString('latin1');
  const renamed = main.replace(/SKERRY_VERSION="[^"]*"/, 'SKERRY_VERSION=globalThis.releaseOfTest');
  if (renamed === main) throw new Error('the bundle no longer says its release as this test expects');
  scripts.set('main', Buffer.from(FAULTS + renamed, 'latin1'));
  const base = await makeExecutable({ ...parts, bundle: { ...bundle, scripts }, work: path.join(folder, 'base') });
  return { packaged, base };
}
