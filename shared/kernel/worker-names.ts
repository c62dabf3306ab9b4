import type { WorkerOptions } from 'node:worker_threads';

/** Every kind of worker thread in the project. A single-file build embeds one program for each name. */
export type WorkerName = 'instance' | 'store';

/**
 * Limits of each one's heap. Tensors and sessions of the inference runtime lie outside it; strings of BYTES tensors lie inside. Blobs
 * pass the store in pieces.
 */
const LIMITS: Readonly<Record<WorkerName, WorkerOptions['resourceLimits']>> = {
  instance: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 256, stackSizeMb: 4 },
  store: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 96 },
};

/** What the thread is started with, wherever its code lies; it is called `skerry-<name>` in diagnostics. */
export function workerOptions(name: WorkerName): WorkerOptions {
  const resourceLimits = LIMITS[name];
  return { name: `skerry-${name}`, ...(resourceLimits === undefined ? {} : { resourceLimits }) };
}
