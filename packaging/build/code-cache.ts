import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Program } from '../targets.js';
import type { NodeRuntime } from './node-runtime.js';
import { runTool } from './tools.js';

const MAKER = fileURLToPath(new URL('./code-cache-maker.js', import.meta.url));

export interface CodeCacheOptions {
  readonly program: Program;
  readonly node: NodeRuntime;
  /** Options the executable will run with; a cache is refused where they differ. */
  readonly nodeFlags: readonly string[];
  /** Options of making it alone, which the engine does not compare. */
  readonly makeFlags: readonly string[];
  /** Folder with the scripts, `<name>.js`; the caches go beside them. */
  readonly work: string;
}

/**
 * Makes the code cache of each script by running it, and returns the file of each. What Node makes by itself (`useCodeCache`)
 * holds the outermost functions only, which for a bundle is next to nothing: every module is a function inside it.
 * (v8.dev/blog/code-caching-for-devs: "create the code cache after execution".)
 */
export async function makeCodeCaches(names: Iterable<string>, options: CodeCacheOptions): Promise<ReadonlyMap<string, string>> {
  const { program, node, nodeFlags, makeFlags, work } = options;
  const empty = path.join(work, 'nothing-here');
  await mkdir(empty, { recursive: true });
  const files = new Map<string, string>();
  for (const name of names) {
    const cache = path.join(work, `${name}.cache`);
    // A worker's script that is no worker thread loads its modules and does no more.
    const args = name === 'main' ? program.usual.map((argument) => argument.replace('DATA', empty)) : [];
    const env = { PATH: process.env['PATH'] };
    await runTool(node.executable, [...makeFlags, ...nodeFlags, MAKER, path.join(work, `${name}.js`), cache, ...args], { env, cwd: empty });
    files.set(name, cache);
  }
  return files;
}
