import path from 'node:path';
import type { Script } from 'node:vm';

/** Runs a script made with SCRIPT_WRAPPER as the CommonJS module `file`, with the `require` of whoever starts it. */
export function runCompiled(script: Script, require: unknown, file: string): void {
  const start: unknown = script.runInThisContext();
  if (typeof start !== 'function') throw new TypeError(`${file} holds no script`);
  const module = { exports: {} };
  Reflect.apply(start, undefined, [module.exports, require, module, file, path.dirname(file)]);
}
