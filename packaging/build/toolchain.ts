import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import type { Target } from '../targets.js';

/** Compilers and binary tools for a target, on this machine. */
interface Toolchain {
  readonly cc: string;
  readonly cxx: string;
  readonly ar: string;
  readonly strip: string;
}

/** The system's own tools for a target of this machine's kind, else those of the target's triplet. */
export function toolchain(target: Target): Toolchain {
  if (target.platform === 'darwin') return { cc: 'clang', cxx: 'clang++', ar: 'ar', strip: 'strip' };
  const native = target.platform === process.platform && target.arch === process.arch;
  const prefix = native || target.cross === undefined ? '' : `${target.cross}-`;
  return { cc: `${prefix}gcc`, cxx: `${prefix}g++`, ar: `${prefix}ar`, strip: `${prefix}strip` };
}

/** QEMU's user mode, for processors that are not this machine's. */
const EMULATORS: Readonly<Record<Target['arch'], string>> = { x64: 'qemu-x86_64-static', arm64: 'qemu-aarch64-static' };

/** What comes before a program of the target where it is called here: nothing, or an emulator; `undefined` where it cannot run at all. */
export function callPrefix({ platform, arch, cross }: Target): readonly string[] | undefined {
  if (platform === process.platform && arch === process.arch) return [];
  if (platform !== 'linux' || process.platform !== 'linux' || cross === undefined) return undefined;
  // The libraries are those of Debian's cross compilers.
  return [EMULATORS[arch], '-L', `/usr/${cross}`];
}

/** Processors whose programs can be called here. */
export function processorsEmulated(): readonly Target['arch'][] {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const has = (program: string): boolean => folders.some((folder) => isProgram(path.join(folder, program)));
  return (['x64', 'arm64'] as const).filter((arch) => arch === process.arch || has(EMULATORS[arch]));
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Arguments that take everything out of a binary that running it does not need. */
export function stripArguments(platform: Target['platform'], file: string): readonly string[] {
  // On macOS symbols that addons look up have to stay.
  return platform === 'darwin' ? ['-x', file] : ['--strip-all', '--enable-deterministic-archives', file];
}
