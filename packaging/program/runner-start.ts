import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type RunnerName, runnerOptions } from '#shared/kernel/runner-options.js';

/** What runs here, also once an update has put another file in its place: both ends of the socket must be of one release. */
const OWN_IMAGE = '/proc/self/exe';

/** Stands in for shared/kernel/runner-start.ts in a single-file build: the executable, told by its first argument what to be (start.ts). */
export function startRunner(name: RunnerName, _url: URL, args: readonly string[]): ChildProcess {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const file = existsSync(OWN_IMAGE) ? OWN_IMAGE : process.execPath;
  return spawn(file, [name, ...args], { ...runnerOptions(), argv0: process.execPath });
}
