import { execFileSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { PROJECT_ROOT } from '../kit/processes.js';
import { tempFolder } from '../kit/temp-folder.js';

/** Plain JavaScript, since it runs before anything is built. */
function prune(root: string): void {
  const program = `import('./packaging/prune.mjs').then((m) => m.pruneDist(process.argv[1]))`;
  execFileSync(process.execPath, ['-e', program, root], { cwd: PROJECT_ROOT });
}

it('deletes what the compiler wrote for a source that is gone, and nothing else', async () => {
  const root = await tempFolder();
  await mkdir(path.join(root, 'hub'));
  await mkdir(path.join(root, 'dist', 'hub'), { recursive: true });
  await writeFile(path.join(root, 'hub', 'stays.ts'), '');
  for (const name of ['stays', 'gone']) {
    for (const ending of ['js', 'js.map', 'd.ts', 'd.ts.map']) await writeFile(path.join(root, 'dist', 'hub', `${name}.${ending}`), '');
  }
  await writeFile(path.join(root, 'dist', 'hub', '.tsbuildinfo'), '');
  prune(root);
  expect((await readdir(path.join(root, 'dist', 'hub'))).sort()).toEqual([
    '.tsbuildinfo',
    'stays.d.ts',
    'stays.d.ts.map',
    'stays.js',
    'stays.js.map',
  ]);
  prune(await tempFolder());
});
