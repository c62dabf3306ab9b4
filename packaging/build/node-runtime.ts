import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';
import { NODE_VERSION, type Target, TARGETS } from '../targets.js';
import { cached, exists, runNpm, runTool } from './tools.js';

export interface NodeRuntime {
  readonly executable: string;
  /** Folder with include/node, for compiling addons against exactly this runtime. */
  readonly headers: string;
  readonly licence: string;
}

/**
 * Fetches the runtime of a target by npm, checks it against the pinned integrity, and unpacks it; or takes the unpacked
 * distribution in `given`, whose release is checked by its headers or, where it has none, by whoever gives it.
 */
export async function fetchNode(target: Target, given?: string): Promise<NodeRuntime> {
  if (given !== undefined) return givenNode(target, path.resolve(given));
  if (target.node.kind === 'given') throw new SkerryError('PACKAGE_PART_MISSING', `no Node.js for ${target.name} was given (--node)`);
  const { package: name, integrity } = target.node;
  const folder = await cached(`node-${NODE_VERSION}-${target.name}`, async (temporary) => {
    await runNpm(['pack', '--silent', '--pack-destination', temporary, `${name}@${NODE_VERSION}`], { cwd: temporary });
    const [archive] = (await readdir(temporary)).filter((file) => file.endsWith('.tgz'));
    if (archive === undefined) throw new SkerryError('PACKAGE_STEP_FAILED', `npm pack ${name} left no archive`);
    const file = path.join(temporary, archive);
    const found = `sha512-${createHash('sha512')
      .update(await readFile(file))
      .digest('base64')}`;
    if (found !== integrity) throw new SkerryError('PACKAGE_INTEGRITY', `${name}@${NODE_VERSION} is ${found}, pinned is ${integrity}`);
    await runTool('tar', ['-xzf', file, '-C', temporary, '--strip-components=1']);
    await rm(file);
  });
  const licence = path.join(folder, 'LICENSE');
  // The packages for Windows hold the executable alone; the licence is that of the release.
  if (!(await exists(licence))) return { ...inFolder(target, folder), licence: (await fetchNode(TARGETS['linux-x64'])).licence };
  return inFolder(target, folder);
}

function inFolder(target: Target, folder: string): NodeRuntime {
  const executable = target.platform === 'win32' ? 'bin/node.exe' : 'bin/node';
  return { executable: path.join(folder, executable), headers: folder, licence: path.join(folder, 'LICENSE') };
}

async function givenNode(target: Target, folder: string): Promise<NodeRuntime> {
  const runtime = inFolder(target, folder);
  // The distribution for Windows has no folder bin.
  const executable = target.platform === 'win32' ? path.join(folder, 'node.exe') : runtime.executable;
  if (!(await exists(executable))) throw new SkerryError('PACKAGE_USAGE', `${folder} has no Node.js: ${executable} is not there`);
  const header = await readFile(path.join(folder, 'include/node/node_version.h'), 'utf8').catch(() => undefined);
  if (header !== undefined && releaseIn(header) !== NODE_VERSION) {
    throw new SkerryError('PACKAGE_INTEGRITY', `${folder} is Node.js ${releaseIn(header)}, wanted is ${NODE_VERSION}`);
  }
  return { ...runtime, executable };
}

function releaseIn(header: string): string {
  return ['MAJOR', 'MINOR', 'PATCH'].map((part) => new RegExp(`NODE_${part}_VERSION (\\d+)`).exec(header)?.[1] ?? '?').join('.');
}
