import { constants } from 'node:os';
import path from 'node:path';
import { getRawAsset } from 'node:sea';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { nativePartsHome } from '#shared/kernel/native-parts.js';
import { type NativePart, nativeAsset } from './native-manifest.js';
import { NATIVES } from './natives.js';
import { type Advise, unpackPart } from './unpack.js';

/** RTLD_NODELETE of glibc, which Node has no name for. */
const NO_DELETE = process.platform === 'linux' ? 0x1000 : 0;
/**
 * A library stays when the thread that loaded it ends: at the very end of a thread the engine calls back into addons for
 * objects that are left, and Node has closed them by then (WiseLibs/better-sqlite3 pull request 1477).
 */
const OPEN_FLAGS = constants.dlopen.RTLD_LAZY | NO_DELETE;

/**
 * Loads the addon `name` out of the executable: unpacks it and what it needs to `<data folder>/native/<digest>/`, checks every
 * byte by SHA-256, opens it. Throws `NATIVE_*` or `DISK_FULL`. Blocks the thread: some milliseconds when it was there.
 */
export function loadNative(name: string, advise?: Advise): unknown {
  const part = partNamed(name);
  const home = nativePartsHome();
  if (home === undefined) throw new SkerryError('NATIVE_FOLDER_UNKNOWN', `${name} is needed, and no data folder was named`);
  const folder = path.join(home, 'native', NATIVES.digest);
  for (const needed of part.needs) unpack(folder, partNamed(needed), advise);
  const file = unpack(folder, part, advise);
  const loaded: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(loaded, file, OPEN_FLAGS);
  } catch (cause) {
    throw new SkerryError('NATIVE_REFUSED', `${file} could not be loaded: ${asSkerryError(cause).message}`, { cause });
  }
  return loaded.exports;
}

function unpack(folder: string, part: NativePart, advise: Advise | undefined): string {
  return unpackPart(folder, part, () => rawAsset(nativeAsset(part.name)), advise);
}

function partNamed(name: string): NativePart {
  const part = NATIVES.parts.find((candidate) => candidate.name === name);
  if (part === undefined) throw new SkerryError('NATIVE_DAMAGED', `there is no ${name} in ${process.execPath}`);
  return part;
}

/** The bytes where they lie in the mapped executable: no copy of them is made. */
function rawAsset(name: string): Uint8Array {
  const asset = getRawAsset(name);
  return typeof asset === 'string' ? Buffer.from(asset, 'latin1') : new Uint8Array(asset);
}
