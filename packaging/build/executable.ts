import { chmod, copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { nativeAsset } from '../program/native-manifest.js';
import { codeCacheAsset, scriptAsset, starterAsset } from '../program/script-asset.js';
import type { Program, Target } from '../targets.js';
import { type Bundle, bundleStarter, wrapScript } from './bundle.js';
import { makeCodeCaches } from './code-cache.js';
import type { Natives } from './natives.js';
import type { NodeRuntime } from './node-runtime.js';
import { readStartProfile } from './start-profile.js';
import { callPrefix, stripArguments, toolchain } from './toolchain.js';
import { PROJECT_ROOT, runTool } from './tools.js';

/** Marks in the runtime whether a program was injected (nodejs.org, Single executable applications). */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const POSTJECT = path.join(PROJECT_ROOT, 'node_modules/postject/dist/cli.js');

interface ExecutableParts {
  readonly program: Program;
  readonly target: Target;
  readonly node: NodeRuntime;
  readonly bundle: Bundle;
  readonly natives: Natives;
  /** A runtime of the same release that runs on this machine: it prepares the blob. */
  readonly hostNode: NodeRuntime;
  /** Folder for everything on the way. */
  readonly work: string;
  readonly say: (text: string) => void;
}

/** Puts bundle, workers and native libraries into the runtime: one executable file. Returns its path. */
export async function makeExecutable(parts: ExecutableParts): Promise<string> {
  const { program, target, node, bundle, natives, hostNode, work, say } = parts;
  await mkdir(work, { recursive: true });
  const nodeFlags = ['--no-warnings', ...program.nodeFlags];
  const assets: Record<string, string> = {};
  for (const [name, code] of bundle.scripts) {
    assets[scriptAsset(name)] = path.join(work, `${name}.js`);
    await writeFile(path.join(work, `${name}.js`), wrapScript(code));
    const starter = path.join(work, `start-${name}.js`);
    await writeFile(starter, await bundleStarter(name, program));
    if (name !== 'main') assets[starterAsset(name)] = starter;
  }
  // A code cache fits one kind of processor; a snapshot cannot start worker threads (nodejs/node issue 56077). No program may be
  // given a flag of the engine that changes what it compiles or offers (--expose-gc is one): Node's own modules come compiled too,
  // and would be refused.
  const prefix = callPrefix(target);
  if (prefix !== undefined) {
    const profile = await readStartProfile(program.name);
    const call = [...prefix, node.executable, ...nodeFlags];
    const { files, compiled, listed } = await makeCodeCaches(bundle.scripts.keys(), { profile, call, work });
    for (const [name, file] of files) assets[codeCacheAsset(name)] = file;
    say(`${program.executable} for ${target.name}: ${compiled} functions of a start compiled, of ${listed} in the profile`);
  }
  for (const [name, file] of natives.files) assets[nativeAsset(name)] = file;

  const blob = path.join(work, 'program.blob');
  // Relative, because the name of the script goes into the blob, and into its stack traces.
  const settings = { main: 'start-main.js', output: 'program.blob', disableExperimentalSEAWarning: true };
  await writeFile(
    path.join(work, 'sea.json'),
    JSON.stringify({ ...settings, useSnapshot: false, useCodeCache: false, execArgv: nodeFlags, execArgvExtension: 'none', assets }),
  );
  await runTool(hostNode.executable, ['--experimental-sea-config', 'sea.json'], { cwd: work });

  const file = path.join(work, target.platform === 'win32' ? `${program.executable}.exe` : program.executable);
  await rm(file, { force: true });
  await copyFile(node.executable, file);
  await chmod(file, 0o755);
  if (target.platform !== 'win32') await runTool(toolchain(target).strip, stripArguments(target.platform, file));
  if (target.platform === 'darwin') await runTool('codesign', ['--remove-signature', file]);
  const segment = target.platform === 'darwin' ? ['--macho-segment-name', 'NODE_SEA'] : [];
  await runTool(process.execPath, [POSTJECT, file, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE, ...segment]);
  if (target.platform === 'darwin') await runTool('codesign', ['--sign', '-', file]);
  await rm(blob);
  return file;
}
