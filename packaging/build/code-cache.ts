import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { functionsOf } from './script-functions.js';
import type { StartProfile } from './start-profile.js';
import { runTool } from './tools.js';

const MAKER = fileURLToPath(new URL('./code-cache-maker.js', import.meta.url));
/**
 * Options of making it, which the engine does not compare where it is used. Chance shows in the order of a code cache; fixed, it
 * makes the same bytes each time (not by --hash-seed, which is compared). So does the age of what is compiled, which grows with
 * every collection of garbage: there is room for all of it.
 */
const MAKE_FLAGS = ['--random-seed=1', '--min-semi-space-size=64', '--max-semi-space-size=64'];

/** Scripts without a profile of their own: they do what another one does. */
export const ALIKE: Readonly<Record<string, string>> = { 'instance-runner': 'instance' };

interface CodeCacheOptions {
  readonly profile: StartProfile;
  /** Calls the runtime of the target with the options the executable will have; a cache is refused where those differ that the engine compares. */
  readonly call: readonly string[];
  /** Folder with the scripts, `<name>.js`; the caches go beside them. */
  readonly work: string;
}

interface CodeCaches {
  /** File with the cache of each script. */
  readonly files: ReadonlyMap<string, string>;
  /** Functions in them, and functions in the profile: fewer where the code has changed since it was written. */
  readonly compiled: number;
  readonly listed: number;
}

/**
 * Makes the code cache of each script: the functions of the profile, compiled. What Node makes by itself (`useCodeCache`) holds
 * the outermost functions only, which for a bundle is next to nothing: every module is a function inside it.
 * (v8.dev/blog/code-caching-for-devs: what is called in a start belongs in the cache, and what is not makes it dearer to read.)
 */
export async function makeCodeCaches(names: Iterable<string>, options: CodeCacheOptions): Promise<CodeCaches> {
  const { profile, call, work } = options;
  const [command, ...args] = [...call, ...MAKE_FLAGS, MAKER];
  const files = new Map<string, string>();
  let compiled = 0;
  let listed = 0;
  for (const name of names) {
    const script = path.join(work, `${name}.js`);
    const wanted = profile.get(name) ?? profile.get(ALIKE[name] ?? '') ?? new Set();
    const functions = functionsOf(await readFile(script, 'latin1')).filter(({ key }) => wanted.has(key));
    const offsets = path.join(work, `${name}.offsets`);
    // Where it ends it is itself, and nothing inside it.
    const last = functions.map(({ end }) => end - 1).toSorted((a, b) => a - b);
    await writeFile(offsets, last.join('\n'));
    const cache = path.join(work, `${name}.cache`);
    await runTool(command, [...args, script, offsets, cache], { env: { PATH: process.env['PATH'] } });
    files.set(name, cache);
    compiled += functions.length;
    listed += wanted.size;
  }
  return { files, compiled, listed };
}
