import { execFile } from 'node:child_process';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { PROJECT_ROOT } from '../../kit/processes.js';
import { tempFolder } from '../../kit/temp-folder.js';

const run = promisify(execFile);

test('an installed package offers the client, with its types', async () => {
  const folder = await tempFolder();
  await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], { cwd: PROJECT_ROOT });
  const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '';
  const installed = path.join(folder, 'node_modules', 'skerry');
  await mkdir(installed, { recursive: true });
  await run('tar', ['-xzf', path.join(folder, archive), '-C', installed, '--strip-components=1']);
  // What an installation would fetch.
  for (const name of ['zod', '@types', 'undici-types']) {
    await symlink(path.join(PROJECT_ROOT, 'node_modules', name), path.join(folder, 'node_modules', name));
  }
  await writeFile(path.join(folder, 'package.json'), '{"type": "module"}');
  await writeFile(
    path.join(folder, 'use.ts'),
    `import { connect, SkerryError } from 'skerry/client';
const client = await connect('http://127.0.0.1:1', { retries: 0 });
try {
  const prediction = await client.infer('m', { x: Float32Array.of(1) });
  const values: BigInt64Array = prediction.values('y', 'INT64');
  console.log(values.length);
} catch (error) {
  console.log(error instanceof SkerryError ? error.code : error);
}
`,
  );
  const tsc = path.join(PROJECT_ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const settings = ['--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node', '--skipLibCheck'];
  await run(process.execPath, [tsc, ...settings, 'use.ts'], { cwd: folder });
  const { stdout } = await run(process.execPath, ['use.js'], { cwd: folder });
  expect(stdout).toBe('CLIENT_UNREACHABLE\n');
});
