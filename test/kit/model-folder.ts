import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { dirname, join } from 'node:path';
import { tempFolder } from './temp-folder.js';

/** The same for all tests of a file, which removes it. */
export async function sharedModelFolder(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const root = await mkdtemp(join(os.tmpdir(), 'skerry-test-'));
  await writeFiles(root, files);
  return root;
}

/** A folder with these files, by their paths, that lasts as long as the test. */
export async function modelFolder(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const root = await tempFolder();
  await writeFiles(root, files);
  return root;
}

export async function writeFiles(root: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [path, data] of Object.entries(files)) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, data);
  }
}
