import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type RunnerName, runnerOptions } from './runner-options.js';

/** As for the agent itself (`packaging/targets.ts`): what is large lies outside of the heap. */
const FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=1', '--max-old-space-size=256'];

/**
 * Starts a process of this program that runs the code at `url`, called `name`, with `args`. This module is one that a single-file
 * build puts another in place of: there the process is the executable itself.
 */
export function startRunner(_name: RunnerName, url: URL, args: readonly string[]): ChildProcess {
  // Loaded when it is needed: an agent that runs models in threads never does.
  const { spawn } = process.getBuiltinModule('node:child_process');
  return spawn(process.execPath, [...FLAGS, fileURLToPath(url), ...args], runnerOptions());
}
