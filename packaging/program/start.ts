import type { WorkerName } from '#shared/kernel/worker-names.js';
import { usableMemory } from '#shared/kernel/usable-memory.js';
import { chooseCarrier, isolationMode } from '#agent/inference/decide/isolation.js';
import { silenceOnnxRuntime } from '#shared/kernel/onnx-environment.js';
import { leavesForSlot, startEarlyWorkers } from './early-workers.js';
import { runScript } from './script.js';
import { startPackagedWorker } from './worker-start.js';

/** Bundling puts the name of the script here. */
declare const SCRIPT: string;
/** And here, for the main script, the threads each command will ask for. */
declare const EARLY_WORKERS: Readonly<Partial<Record<string, readonly WorkerName[]>>>;
/** And the names of the processes this program starts of itself. */
declare const RUNNERS: readonly string[];
declare const require: unknown;

// Entry of every thread of an executable; all the rest of its code comes compiled (packaging/build/code-cache.ts).
const [, , command = ''] = process.argv;
const early = Object.hasOwn(EARLY_WORKERS, command) ? EARLY_WORKERS[command] : undefined;
// The first process of a container only watches over the one that runs (agent/cli/launch.ts).
if (SCRIPT === 'main' && early !== undefined && process.pid !== 1 && !(command === 'launch' && leavesForSlot(process.env))) {
  silenceOnnxRuntime();
  startEarlyWorkers(
    early.filter((name) => name !== 'instance' || runsInThread(process.env)),
    startPackagedWorker,
  );
}
runScript(SCRIPT === 'main' && RUNNERS.includes(command) ? command : SCRIPT, require);

/** Where the first model will most likely run; only the environment is looked into, as a service's settings are. */
function runsInThread(env: Readonly<Record<string, string | undefined>>): boolean {
  const mode = isolationMode(env['SKERRY_AGENT_ISOLATION']);
  return chooseCarrier({ mode, memoryBytes: usableMemory(), running: 0, crashedBefore: false }) === 'thread';
}
