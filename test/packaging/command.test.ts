import path from 'node:path';
import { expect, it } from 'vitest';
import { PROJECT_ROOT } from '../kit/processes.js';
import { tempFolder } from '../kit/temp-folder.js';
import { sh } from './tools.js';

const run = async (script: 'main' | 'release-key', ...args: readonly string[]): Promise<{ code: number; text: string }> =>
  sh(process.execPath, [path.join(PROJECT_ROOT, `dist/packaging/${script}.js`), ...args]);

it.each([
  ['a target', ['--target', 'linux-mips']],
  ['a program', ['--program', 'agent', 'broker']],
  ['a format', ['--format', 'deb', 'rpm']],
  ['a revision', ['--revision', 'x']],
  ['a revision below 1', ['--revision', '0']],
])('%s that there is not is refused before anything is built', async (_what, args) => {
  const { code, text } = await run('main', '--out', path.join(await tempFolder(), 'out'), ...args);
  expect(code).not.toBe(0);
  expect(text).toContain('PACKAGE_USAGE');
  expect(text).not.toContain('runtime');
});

it('a release key that is not there is told of before anything is built', async () => {
  const folder = await tempFolder();
  const { code, text } = await run('main', '--out', path.join(folder, 'out'), '--release-key', path.join(folder, 'key'));
  expect(code).not.toBe(0);
  expect(text).not.toContain('native libraries');
});

it('checksums that are not there are named', async () => {
  const file = path.join(await tempFolder(), 'SHA256SUMS');
  const { code, text } = await run('release-key', 'verify', file, '--public', 'a'.repeat(64));
  expect(code).toBe(1);
  expect(text).toContain('IO_FAILED');
  expect(text).toContain(file);
});
