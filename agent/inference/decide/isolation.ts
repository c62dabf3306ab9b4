import type { CarrierKind } from '../instances/carrier.js';

const MiB = 1024 * 1024;

/** Whether models run in processes of their own: as the memory of the device allows, always, or only after they crashed. */
export const ISOLATION_MODES = ['auto', 'process', 'thread'] as const;
export type IsolationMode = (typeof ISOLATION_MODES)[number];

/** The mode named, or the default. */
export function isolationMode(name: string | undefined): IsolationMode {
  return ISOLATION_MODES.find((mode) => mode === name) ?? 'auto';
}

/** Memory of its own that a process takes with a small model (docs/OPERATIONS.md, "A process for each model"), rounded up. */
export const RUNNER_BYTES = 48 * MiB;
/** Below this, processes would take memory that models need. A device sold with 4 GiB shows less. */
const LEAST_BYTES = 3 * 1024 * MiB;
/** Part of the memory that processes may take, and the most there are: what is beyond runs in threads. */
const SHARE = 1 / 16;
const MOST_RUNNERS = 16;

interface IsolationFacts {
  readonly mode: IsolationMode;
  /** Memory of the device, or what this program may have of it. */
  readonly memoryBytes: number;
  /** Processes that run models now. */
  readonly running: number;
  /** Native code crashed in this version, or did not come back. */
  readonly crashedBefore: boolean;
}

/** Processes that `auto` uses on a device with this memory. Pure. */
export function runnersFor(memoryBytes: number): number {
  if (memoryBytes < LEAST_BYTES) return 0;
  return Math.min(MOST_RUNNERS, Math.floor((memoryBytes * SHARE) / RUNNER_BYTES));
}

/** Where an instance of a version is to run. Pure. */
export function chooseCarrier({ mode, memoryBytes, running, crashedBefore }: IsolationFacts): CarrierKind {
  if (crashedBefore || mode === 'process') return 'process';
  if (mode === 'thread') return 'thread';
  return running < runnersFor(memoryBytes) ? 'process' : 'thread';
}
