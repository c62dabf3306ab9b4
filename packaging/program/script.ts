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
 * that does not fit this engine is refused by it, and everything is compiled as it is called.
 */
export function compileScript(name: string): { readonly script: Script; readonly codeCache: ReturnType<PackagedProgram['codeCache']> } {
  const source = bytesOf(scriptAsset(name));
  if (source === undefined) throw new Error(`${scriptAsset(name)} is not in ${process.execPath}`);
  const cachedData = bytesOf(codeCacheAsset(name));
  const script = new Script(source.toString('latin1'), { filename: `${name}.js`, ...(cachedData === undefined ? {} : { cachedData }) });
  if (cachedData === undefined) return { script, codeCache: 'none' };
  return { script, codeCache: script.cachedDataRejected === true ? 'refused' : 'used' };
}

/** The bytes where they lie in the mapped executable. */
function bytesOf(asset: string): Buffer | undefined {
  try {
    const raw = getRawAsset(asset);
    return typeof raw === 'string' ? Buffer.from(raw, 'latin1') : Buffer.from(raw);
  } catch {
    return undefined;
  }
}
