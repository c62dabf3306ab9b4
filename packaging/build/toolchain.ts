import type { Target } from '../targets.js';

/** Compilers and binary tools for a target, on this machine. */
export interface Toolchain {
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

/** Arguments that take everything out of a binary that running it does not need. */
export function stripArguments(platform: Target['platform'], file: string): readonly string[] {
  // On macOS symbols that addons look up have to stay.
  return platform === 'darwin' ? ['-x', file] : ['--strip-all', '--enable-deterministic-archives', file];
}
