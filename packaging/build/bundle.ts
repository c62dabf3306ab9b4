import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';
import { SkerryError } from '#shared/kernel/errors.js';
import type { NativeManifest } from '../program/native-manifest.js';
import { SCRIPT_WRAPPER } from '../program/script-asset.js';
import type { Program } from '../targets.js';
import { PROJECT_ROOT } from './tools.js';

const DIST = path.join(PROJECT_ROOT, 'dist');

const COMMON_JS = { platform: 'node', format: 'cjs', target: 'node24' } as const;

export interface Bundle {
  /** One CommonJS script each, by name: `main`, the workers and the runners. */
  readonly scripts: ReadonlyMap<string, Uint8Array>;
  /** Folders of the npm packages whose code is inside, relative to the checkout. */
  readonly packages: readonly string[];
}

/** Bundles a program, its worker threads and runners, each into one CommonJS script. */
export async function bundleProgram(program: Program, natives: NativeManifest): Promise<Bundle> {
  const entries = new Map([['main', program.entry], ...Object.entries(program.workers), ...Object.entries(program.runners)]);
  const scripts = new Map<string, Uint8Array>();
  const packages = new Set<string>();
  for (const [name, entry] of entries) {
    const { code, metafile } = await bundleScript(path.join(DIST, entry), natives);
    scripts.set(name, code);
    for (const folder of packageFolders(metafile)) packages.add(folder);
  }
  return { scripts, packages: [...packages].sort() };
}

async function bundleScript(entry: string, natives: NativeManifest): Promise<{ code: Uint8Array; metafile: Metafile }> {
  const result = await build({
    entryPoints: [entry],
    absWorkingDir: PROJECT_ROOT,
    bundle: true,
    write: false,
    outfile: 'bundle.js',
    ...COMMON_JS,
    metafile: true,
    minifySyntax: true,
    minifyWhitespace: true,
    // One character beyond Latin-1 would make the engine keep the whole script in two bytes a character.
    charset: 'ascii',
    legalComments: 'none',
    logLevel: 'silent',
    // There is no file beside the program; what would look for one is replaced below, and the rest asks only for a URL to resolve against.
    define: { 'import.meta.url': JSON.stringify('file:///skerry/program.js') },
    plugins: [standIns, leftOut, nativeLoaders(natives), namespaceImports],
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new SkerryError('PACKAGE_STEP_FAILED', `bundling ${entry} gave no output`);
  return { code: output.contents, metafile: result.metafile };
}

/** A script as the executable holds it: a function of what a CommonJS module is called with. */
export function wrapScript(code: Uint8Array): Buffer {
  const [before, after] = SCRIPT_WRAPPER;
  return Buffer.concat([Buffer.from(before), code, Buffer.from(after)]);
}

/** Bundles what starts a script of the executable: packaging/program/start.ts with its name. */
export async function bundleStarter(name: string, { earlyWorkers, runners }: Program): Promise<Uint8Array> {
  const entryPoints = [path.join(DIST, 'packaging/program/start.js')];
  const define = {
    SCRIPT: JSON.stringify(name),
    EARLY_WORKERS: JSON.stringify(earlyWorkers),
    RUNNERS: JSON.stringify(Object.keys(runners)),
  };
  const result = await build({ entryPoints, bundle: true, write: false, minify: true, define, logLevel: 'silent', ...COMMON_JS });
  const [output] = result.outputFiles;
  if (output === undefined) throw new SkerryError('PACKAGE_STEP_FAILED', `bundling the start of ${name} gave no output`);
  return output.contents;
}

/** Modules of the project that a single-file build replaces by others. */
const standIns: Plugin = {
  name: 'stand-ins',
  setup(esbuild) {
    for (const name of ['worker-start', 'runner-start', 'notify-socket', 'release-memory', 'packaged-program']) {
      const original = path.join(DIST, 'shared', 'kernel', `${name}.js`);
      const standIn = path.join(DIST, 'packaging', 'program', `${name}.js`);
      esbuild.onResolve({ filter: new RegExp(`/${name}\\.js$`) }, ({ path: wanted, resolveDir }) => {
        const found = wanted.startsWith('#shared/') ? path.join(DIST, wanted.slice(1)) : path.resolve(resolveDir, wanted);
        return found === original ? { path: standIn } : undefined;
      });
    }
  },
};

/** Parts of dependencies that nothing here calls, and that would be read and kept by every process. */
const leftOut: Plugin = {
  name: 'left-out',
  setup(esbuild) {
    // tuf-js falls back on it when it is given no fetcher; metadata comes over MQTT here (agent/sync/trust-mirror.ts).
    esbuild.onResolve({ filter: /^make-fetch-happen$/ }, ({ path: name }) => ({ path: name, namespace: 'left-out' }));
    esbuild.onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path: name }) => ({
      contents: `module.exports = () => { throw Object.assign(new Error('${name} is not part of this program'), { code: 'MODULE_NOT_FOUND' }); };`,
      loader: 'js',
    }));
    // commander asks for it at once, to call commands that are programs of their own; ours are none, and loading it takes 5 ms of every start.
    esbuild.onResolve({ filter: /^node:child_process$/ }, ({ path: name, importer }) =>
      /node_modules[\\/]commander[\\/]/.test(importer) ? { path: name, namespace: 'left-out' } : undefined,
    );
    // zod's messages in some fifty languages; ours are in the one it has built in.
    esbuild.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: `export { default as en } from './en.js';`,
      loader: 'js',
    }));
  },
};

/**
 * `import { z }` asks for one object with everything of zod on it, `import * as z` for what is used of it: 440 KB less in each
 * script, which every thread would read and compile. To the code that follows both are the same.
 */
const namespaceImports: Plugin = {
  name: 'namespace-imports',
  setup(esbuild) {
    const ours = new RegExp(`^${DIST.replaceAll(/[^a-zA-Z0-9]/g, (sign) => `\\${sign}`)}.*\\.js$`);
    esbuild.onLoad({ filter: ours }, async ({ path: file }) => {
      const source = await readFile(file, 'utf8');
      return { contents: source.replace(/^import \{ z \} from 'zod';$/m, "import * as z from 'zod';"), loader: 'js' };
    });
  },
};

/** How the native packages find their addon, and what takes that place. */
const REQUIRE_BINDING = 'require(`../bin/napi-v6/${process.platform}/${process.arch}/onnxruntime_binding.node`)';

const nativeLoaders = (natives: NativeManifest): Plugin => ({
  name: 'native-loaders',
  setup(esbuild) {
    esbuild.onLoad({ filter: /packaging[\\/]program[\\/]natives\.js$/ }, () => ({
      contents: `export const NATIVES = ${JSON.stringify(natives)};`,
      loader: 'js',
    }));
    const loader = JSON.stringify(path.join(DIST, 'packaging', 'program', 'load-library.js'));
    esbuild.onLoad({ filter: /onnxruntime-node[\\/]dist[\\/]binding\.js$/ }, async ({ path: file }) => {
      const source = await readFile(file, 'utf8');
      if (source.split(REQUIRE_BINDING).length !== 2) {
        throw new SkerryError('PACKAGE_SOURCE_CHANGED', `${file} no longer loads its addon by ${REQUIRE_BINDING}`);
      }
      const contents = source.replace(REQUIRE_BINDING, () => `require(${loader}).loadLibrary("onnxruntime_binding.node")`);
      return { contents, loader: 'js' };
    });
    // better-sqlite3 asks the package "bindings" for its addon when the first database is opened.
    esbuild.onResolve({ filter: /^bindings$/ }, () => ({ path: 'bindings', namespace: 'skerry' }));
    esbuild.onLoad({ filter: /^bindings$/, namespace: 'skerry' }, () => ({
      contents: `module.exports = (name) => require(${loader}).loadLibrary(name);`,
      resolveDir: PROJECT_ROOT,
      loader: 'js',
    }));
  },
});

/** `node_modules/a`, `node_modules/a/node_modules/@b/c` ... of everything that went into the bundle. */
function packageFolders(metafile: Metafile): Set<string> {
  const folders = new Set<string>();
  for (const input of Object.keys(metafile.inputs)) {
    const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (folder !== undefined) folders.add(folder);
  }
  return folders;
}
