import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Script } from 'node:vm';
import { runCompiled } from '../program/run-compiled.js';

// Run by code-cache.ts in the runtime of the target, with the options the executable will have: SCRIPT CACHE ARGUMENTS...
// Runs the script as the program with those arguments, and keeps what the engine compiled on the way.
const [, , file = '', cache = '', ...args] = process.argv;
const script = new Script(readFileSync(file, 'latin1'), { filename: path.basename(file) });
process.argv.splice(1, process.argv.length, file, ...args);
let broken = false;
process.on('uncaughtExceptionMonitor', () => {
  broken = true;
});
process.on('exit', () => {
  // A program that does not run is not trained on: the build ends with its error.
  if (broken) return;
  writeFileSync(cache, script.createCachedData());
  // What the program thought of a folder where there is nothing does not matter here.
  process.exitCode = 0;
});
runCompiled(script, createRequire(file), file);
