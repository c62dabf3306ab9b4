import { createHash } from 'node:crypto';
import { copyFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';
import { NODE_VERSION, type Target } from '../targets.js';
import type { NodeRuntime } from './node-runtime.js';
import { stripArguments, toolchain } from './toolchain.js';
import { cached, PROJECT_ROOT, runNpm, runTool } from './tools.js';

/** Compiles better-sqlite3 for the target against the headers of the very runtime it ships with; returns the addon's path. */
export async function compileSqlite(target: Target, node: NodeRuntime): Promise<string> {
  const source = path.join(PROJECT_ROOT, 'node_modules', 'better-sqlite3');
  const { cc, cxx, ar, strip } = toolchain(target);
  const key = await cacheKey([path.join(source, 'package.json'), path.join(source, 'deps', 'defines.gypi')], cxx, MENDED);
  const folder = await cached(`sqlite-${target.name}-${key}`, async (temporary) => {
    const work = path.join(temporary, 'work');
    // Without what an earlier install compiled there, which is for another runtime.
    await cp(source, work, { recursive: true, filter: (file) => path.relative(source, file).split(path.sep)[0] !== 'build' });
    const headers = path.join(temporary, 'headers');
    await mendedHeaders(node.headers, headers);
    const flags = `-ffile-prefix-map=${work}=better-sqlite3`;
    await runNpm(['run', 'build-release'], {
      cwd: work,
      env: {
        ...process.env,
        npm_config_nodedir: headers,
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
    await Promise.all([work, headers].map((each) => rm(each, { recursive: true })));
  });
  return path.join(folder, 'better_sqlite3.node');
}

/** Compiles packaging/native: system.c is Node-API, collect.cc is for the very runtime it ships with. */
export async function compileSystem(target: Target, node: NodeRuntime): Promise<string> {
  const sources = path.join(PROJECT_ROOT, 'packaging', 'native');
  const { cc, cxx, strip } = toolchain(target);
  const key = await cacheKey(
    ['system.c', 'collect.cc'].map((name) => path.join(sources, name)),
    cc,
  );
  const folder = await cached(`system-${target.name}-${key}`, async (temporary) => {
    await mkdir(temporary, { recursive: true });
    const addon = path.join(temporary, 'skerry_system.node');
    const link = target.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared', '-Wl,-z,relro,-z,now'];
    const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-fvisibility=hidden'];
    const include = `-isystem${path.join(node.headers, 'include', 'node')}`;
    const object = path.join(temporary, 'collect.o');
    const compile = [...flags, '-std=c++20', '-fno-exceptions', '-fno-rtti', include, '-c', '-o', object, 'collect.cc'];
    await runTool(cxx, compile, { cwd: sources });
    // By the C compiler, so that the C++ library is not asked for.
    await runTool(cc, [...flags, include, ...link, '-o', addon, 'system.c', object], { cwd: sources });
    await rm(object);
    await runTool(strip, stripArguments(target.platform, addon));
  });
  return path.join(folder, 'skerry_system.node');
}

/** Bumped when `mendedHeaders` changes. */
const MENDED = 1;
const HOOKS = [
  'AddEnvironmentCleanupHook(v8::Isolate::GetCurrent(), CleanupHook, this);',
  'RemoveEnvironmentCleanupHook(v8::Isolate::GetCurrent(), CleanupHook, this);',
];

/**
 * The headers without the hooks that node_object_wrap.h has had since 24.19: an object collected while no context is entered
 * aborts the process there (nodejs/node issue 65446, open at 24.21). The class is compiled into the addon whole, so leaving
 * them out is what every release before did. Fails once the header looks different: then see whether it was mended.
 */
async function mendedHeaders(from: string, to: string): Promise<void> {
  await cp(path.join(from, 'include'), path.join(to, 'include'), { recursive: true });
  const header = path.join(to, 'include', 'node', 'node_object_wrap.h');
  let text = await readFile(header, 'utf8');
  for (const hook of HOOKS) {
    if (text.split(hook).length !== 2) throw new SkerryError('PACKAGE_SOURCE_CHANGED', `${header} no longer has ${hook}`);
    text = text.replace(hook, '');
  }
  await writeFile(header, text);
}

/** What decides the compiled bytes: the sources, the compiler, the runtime's release. */
async function cacheKey(files: readonly string[], compiler: string, salt = 0): Promise<string> {
  const hash = createHash('sha256').update(`${NODE_VERSION} ${salt}`);
  for (const file of files) hash.update(await readFile(file));
  hash.update(await runTool(compiler, ['--version']));
  return hash.digest('hex').slice(0, 16);
}
