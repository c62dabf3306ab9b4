import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';
import type { NativeManifest, NativePart } from '../program/native-manifest.js';
import { hashFile } from '../program/unpack.js';
import type { Target } from '../targets.js';
import { compileSystem, compileSqlite } from './addons.js';
import type { NodeRuntime } from './node-runtime.js';
import { checkAddonKind } from './requirements.js';
import { stripArguments, toolchain } from './toolchain.js';
import { PROJECT_ROOT, runTool } from './tools.js';

const ORT_BINDING = 'onnxruntime_binding.node';
/** The parts of ONNX Runtime that run on the CPU; what GPU servers add (CUDA, TensorRT) is theirs to install. */
const ORT_LIBRARY = /^(libonnxruntime\.so\.1|libonnxruntime\.1\.dylib|onnxruntime\.dll)$/;

export interface Natives {
  readonly manifest: NativeManifest;
  readonly files: ReadonlyMap<string, string>;
}

/**
 * Gathers the native libraries for one target, stripped, in `folder`, with the manifest that names their digests; better-sqlite3
 * is `sqlite` where one was given, else compiled.
 */
export async function gatherNatives(target: Target, node: NodeRuntime, folder: string, sqlite?: string): Promise<Natives> {
  await mkdir(folder, { recursive: true });
  const ort = path.join(PROJECT_ROOT, 'node_modules/onnxruntime-node/bin/napi-v6', target.platform, target.arch);
  const libraries = (await readdir(ort)).filter((name) => ORT_LIBRARY.test(name));
  if (libraries.length === 0) throw new SkerryError('PACKAGE_SOURCE_CHANGED', `${ort} has no library of ONNX Runtime`);
  const sources: readonly (readonly [string, readonly string[]])[] = [
    ...libraries.map((name) => [path.join(ort, name), []] as const),
    [path.join(ort, ORT_BINDING), libraries],
    [sqlite === undefined ? await compileSqlite(target, node) : await givenAddon(target, sqlite), []],
    ...(target.platform === 'win32' ? [] : [[await compileSystem(target, node), []] as const]),
  ];
  const files = new Map<string, string>();
  const parts: NativePart[] = [];
  for (const [source, needs] of sources) {
    const name = source === sqlite ? 'better_sqlite3.node' : path.basename(source);
    const file = path.join(folder, name);
    await copyFile(source, file);
    // Elsewhere the maker's signature covers every byte.
    if (target.platform === 'linux') await runTool(toolchain(target).strip, stripArguments(target.platform, file));
    files.set(name, file);
    parts.push({ name, sha256: hashFile(file), size: (await stat(file)).size, needs: [...needs] });
  }
  parts.sort((a, b) => (a.name < b.name ? -1 : 1));
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('hex');
  return { manifest: { digest, parts }, files };
}

async function givenAddon(target: Target, file: string): Promise<string> {
  checkAddonKind(target, file, (await readFile(file)).subarray(0, 4));
  return file;
}

/** `linux/x64` ... : what the installed onnxruntime-node has libraries for. */
export async function runtimesInstalled(): Promise<readonly string[]> {
  const root = path.join(PROJECT_ROOT, 'node_modules/onnxruntime-node/bin/napi-v6');
  const platforms = await readdir(root);
  const each = await Promise.all(
    platforms.map(async (platform) => (await readdir(path.join(root, platform))).map((arch) => `${platform}/${arch}`)),
  );
  return each.flat();
}

/** Digest of a file's bytes, hex. */
export async function sha256Of(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}
