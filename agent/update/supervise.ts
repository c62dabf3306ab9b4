import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { foregroundClock, sleep } from '#shared/kernel/clock.js';
import type { SlotFolder } from './slot-folder.js';

interface SuperviseOptions {
  readonly folder: SlotFolder;
  /** Program and arguments of the launcher. */
  readonly command: readonly [string, ...string[]];
  /** Exit code that asks to be started again. */
  readonly tryAgain: number;
}

const FORWARDED = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;
/** Between a release on trial that ended and the next start. */
const PAUSE_MS = 1_000;

/**
 * The first process of a container: runs the launcher as a child and hands signals on. A child that ends while a release is on
 * trial, or asks for it, is started again, since nobody else might; otherwise its end is the container's, whose engine knows
 * what to do then. Resolves with the exit code.
 */
export async function superviseAgent({ folder, command, tryAgain }: SuperviseOptions): Promise<number> {
  let child: ChildProcess | undefined;
  let asked = false;
  const forward = (signal: NodeJS.Signals): void => {
    asked ||= signal !== 'SIGHUP';
    child?.kill(signal);
  };
  for (const name of FORWARDED) process.on(name, forward);
  try {
    for (;;) {
      child = spawn(command[0], command.slice(1), { stdio: 'inherit' });
      const code = await endOf(child);
      if (asked || (code !== tryAgain && !(await isOnTrial(folder)))) return code;
      await sleep(foregroundClock, PAUSE_MS);
      if (asked) return code;
    }
  } finally {
    for (const name of FORWARDED) process.off(name, forward);
  }
}

/** Exit code; a child that a signal ended has that of a shell's. */
function endOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

async function isOnTrial(folder: SlotFolder): Promise<boolean> {
  // A file that cannot be read ends with the packaged agent, which a start would run.
  const slots = await folder.read().catch(() => undefined);
  return slots?.trying !== undefined && slots.trying !== null;
}
