import { createHash } from 'node:crypto';
import { copyFile, cp, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { NODE_VERSION, type Target } from '../targets.js';
import type { NodeRuntime } from './node-runtime.js';
import { stripArguments, toolchain } from './toolchain.js';
import { cached, PROJECT_ROOT, runNpm, runTool } from './tools.js';

/** Compiles better-sqlite3 for the target against the headers of the very runtime it ships with; returns the addon's path. */
export async function compileSqlite(target: Target, node: NodeRuntime): Promise<string> {
  const source = path.join(PROJECT_ROOT, 'node_modules', 'better-sqlite3');
  const { cc, cxx, ar, strip } = toolchain(target);
  const key = await cacheKey([path.join(source, 'package.json'), path.join(source, 'deps', 'defines.gypi')], cxx);
  const folder = await cached(`sqlite-${target.name}-${key}`, async (temporary) => {
    const work = path.join(temporary, 'work');
    // Without what an earlier install compiled there, which is for another runtime.
    await cp(source, work, { recursive: true, filter: (file) => path.relative(source, file).split(path.sep)[0] !== 'build' });
    const flags = `-ffile-prefix-map=${work}=better-sqlite3`;
    await runNpm(['run', 'build-release'], {
      cwd: work,
      env: {
        ...process.env,
        npm_config_nodedir: node.headers,
        npm_config_arch: target.arch,
        npm_config_target: NODE_VERSION,
        CC: cc,
        CXX: cxx,
        LINK: cxx,
        AR: ar,
        CFLAGS: flags,
        CXXFLAGS: flags,
      },
    });
    const addon = path.join(temporary, 'better_sqlite3.node');
    await copyFile(path.join(work, 'build', 'Release', 'better_sqlite3.node'), addon);
    await runTool(strip, stripArguments(target.platform, addon));
  });
  return path.join(folder, 'better_sqlite3.node');
}

/** Compiles packaging/native/system.c, which is Node-API and asks for no particular runtime. */
export async function compileSystem(target: Target, node: NodeRuntime): Promise<string> {
  const source = path.join(PROJECT_ROOT, 'packaging', 'native', 'system.c');
  const { cc, strip } = toolchain(target);
  const folder = await cached(`system-${target.name}-${await cacheKey([source], cc)}`, async (temporary) => {
    await mkdir(temporary, { recursive: true });
    const addon = path.join(temporary, 'skerry_system.node');
    const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-fvisibility=hidden', '-Wl,-z,relro,-z,now'];
    const include = path.join(node.headers, 'include', 'node');
    await runTool(cc, [...flags, `-I${include}`, '-o', addon, 'system.c'], { cwd: path.dirname(source) });
    await runTool(strip, stripArguments(target.platform, addon));
  });
  return path.join(folder, 'skerry_system.node');
}

/** What decides the compiled bytes: the sources, the compiler, the runtime's release. */
async function cacheKey(files: readonly string[], compiler: string): Promise<string> {
  const hash = createHash('sha256').update(NODE_VERSION);
  for (const file of files) hash.update(await readFile(file));
  hash.update(await runTool(compiler, ['--version']));
  return hash.digest('hex').slice(0, 16);
}
