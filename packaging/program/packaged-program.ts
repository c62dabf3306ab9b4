import path from 'node:path';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { nativePartsHome } from '#shared/kernel/native-parts.js';
import type { PackagedProgram } from '#shared/kernel/packaged-program.js';
import { NATIVES } from './natives.js';
import { compileScript } from './script.js';
import { systemAddon } from './system-addon.js';
import { type Advise, hashFile, sweepOthers } from './unpack.js';

/** Stands in for shared/kernel/packaged-program.ts in a single-file build: the calls of packaging/native/system.c. */
export function packagedProgram(): PackagedProgram | undefined {
  // There is no such addon for Windows, which has no exec either.
  if (process.platform === 'win32') return undefined;
  return {
    file: process.execPath,
    natives: NATIVES.digest,
    replaceBy,
    endAfter: (seconds) => systemAddon().endAfter(seconds),
    digestOf,
    codeCache: () => compileScript('main').codeCache,
    sweepNatives,
  };
}

function replaceBy(file: string, args: readonly string[]): void {
  const { replace } = systemAddon();
  try {
    replace(file, [file, ...args]);
  } catch (cause) {
    throw new SkerryError('IO_FAILED', `${file} could not be started: ${asSkerryError(cause).message}`, { cause });
  }
}

function digestOf(file: string): string {
  let readHere: Advise | undefined;
  try {
    ({ readHere } = systemAddon());
  } catch {
    // Advice alone.
  }
  return hashFile(file, readHere);
}

function sweepNatives(keep: ReadonlySet<string>): void {
  const home = nativePartsHome();
  if (home !== undefined) sweepOthers(path.join(home, 'native'), new Set([...keep, NATIVES.digest]));
}
