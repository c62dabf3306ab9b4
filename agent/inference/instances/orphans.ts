import { readdirSync, readFileSync } from 'node:fs';
import type { Logger } from '#shared/kernel/logger.js';

/** Part of the command line of a process that runs a model, from source and packaged. */
const RUNNER = /(^|[\\/])instance-runner(\.js)?$/;

/**
 * Ends processes of models that an agent left behind which was killed: inside the runtime they do not notice that it is gone, and
 * one that never comes back would keep a core. Those of the agent with this data folder alone; only one agent at a time has it.
 */
export function endOrphans(dataFolder: string, logger: Logger): void {
  if (process.platform !== 'linux') return;
  for (const pid of ifPossible(() => readdirSync('/proc'), []).filter((name) => /^\d+$/.test(name))) {
    const words = ifPossible(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '').split('\0');
    // The last word is empty, the one before it the data folder.
    if (words.at(-2) !== dataFolder || !words.some((word) => RUNNER.test(word)) || parentOf(pid) === process.pid) continue;
    logger.warn({ runner: Number(pid) }, 'the process of a model outlived its agent; stopping it');
    ifPossible(() => process.kill(Number(pid), 'SIGKILL'), false);
  }
}

function parentOf(pid: string): number {
  const status = ifPossible(() => readFileSync(`/proc/${pid}/status`, 'utf8'), '');
  return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? 0);
}

/** What `act` gives; `otherwise` when it fails, since processes come and go. */
function ifPossible<T>(act: () => T, otherwise: T): T {
  try {
    return act();
  } catch {
    return otherwise;
  }
}
