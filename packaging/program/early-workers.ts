import { readFileSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import type { WorkerName } from '#shared/kernel/worker-names.js';

/** A thread that was started before anybody asked for it. */
interface EarlyWorker {
  readonly worker: Worker;
  /** Until somebody does: notices that it ended. */
  readonly onEnd: () => void;
}

declare global {
  /** From the few lines that start the main script to the main script: two programs in one thread. */
  var skerryEarlyWorkers: Map<WorkerName, EarlyWorker> | undefined;
}

/**
 * Starts threads that will be asked for: a thread takes as long to come up as the main script to be loaded, and there are two
 * cores for it. They wait for their first message. One that is not asked for keeps nobody from ending.
 */
export function startEarlyWorkers(names: readonly WorkerName[], start: (name: WorkerName) => Worker): void {
  const early = new Map<WorkerName, EarlyWorker>();
  for (const name of names) {
    const worker = startIfPossible(name, start);
    if (worker === undefined) continue;
    const onEnd = (): void => void early.delete(name);
    worker.once('error', onEnd).once('exit', onEnd);
    worker.unref();
    early.set(name, { worker, onEnd });
  }
  globalThis.skerryEarlyWorkers = early;
}

/**
 * True where the launcher will most likely become the release of a slot (agent/update/launch.ts), which starts threads of its own. Only
 * a data folder that the environment names is looked into, as a service's does: nothing of the settings is loaded yet.
 */
export function leavesForSlot(env: Readonly<Record<string, string | undefined>>): boolean {
  try {
    return readFileSync(`${env['SKERRY_AGENT_DATA']}/agents/slot.json`, 'latin1').includes('"slot"');
  } catch {
    return false;
  }
}

/** Whoever asks for a thread that could not be started tries it, and is told. */
function startIfPossible(name: WorkerName, start: (name: WorkerName) => Worker): Worker | undefined {
  try {
    return start(name);
  } catch {
    return undefined;
  }
}

/** The thread `name` that was started early, once; `undefined` when there is none, or it has ended. */
export function takeEarlyWorker(name: WorkerName): Worker | undefined {
  const early = globalThis.skerryEarlyWorkers?.get(name);
  if (early === undefined) return undefined;
  const { worker, onEnd } = early;
  onEnd();
  worker.off('error', onEnd).off('exit', onEnd);
  worker.ref();
  return worker;
}
