import { getRawAsset } from 'node:sea';
import { Script } from 'node:vm';
import type { PackagedProgram } from '#shared/kernel/packaged-program.js';
import { runCompiled } from './run-compiled.js';
import { codeCacheAsset, scriptAsset } from './script-asset.js';

/** Runs a script of the executable in this thread, with the `require` of whoever starts it. */
export function runScript(name: string, require: unknown): void {
  runCompiled(compileScript(name).script, require, process.execPath);
}

/**
 * Compiles a script, or rather takes what was compiled of it when the executable was built: the functions a start calls. A cache
 * that does not fit this engine is refused by it, and everything is compiled as it is called. Throws Node's
 * `ERR_SINGLE_EXECUTABLE_APPLICATION_ASSET_NOT_FOUND` for a script the executable has not.
 */
export function compileScript(name: string): { readonly script: Script; readonly codeCache: ReturnType<PackagedProgram['codeCache']> } {
  const source = bytesOf(getRawAsset(scriptAsset(name)));
  const cachedData = codeCacheOf(name);
  const script = new Script(source.toString('latin1'), { filename: `${name}.js`, ...(cachedData === undefined ? {} : { cachedData }) });
  if (cachedData === undefined) return { script, codeCache: 'none' };
  return { script, codeCache: script.cachedDataRejected === true ? 'refused' : 'used' };
}

/** None where the executable was built without one, as for a system whose programs cannot be called where it was built. */
function codeCacheOf(name: string): Buffer | undefined {
  let raw: ReturnType<typeof getRawAsset>;
  try {
    raw = getRawAsset(codeCacheAsset(name));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_SINGLE_EXECUTABLE_APPLICATION_ASSET_NOT_FOUND') return undefined;
    throw cause;
  }
  return bytesOf(raw);
}

/** The bytes where they lie in the mapped executable. */
function bytesOf(raw: ReturnType<typeof getRawAsset>): Buffer {
  return typeof raw === 'string' ? Buffer.from(raw, 'latin1') : Buffer.from(raw);
}
