import { stat } from 'node:fs/promises';
import type { ServableSpec } from '../contract.js';
import { RUNNER_BYTES } from '../decide/isolation.js';
import type { CarrierKind } from '../instances/carrier.js';

const MiB = 1024 * 1024;

/** What a thread takes before it has a model: its JavaScript heap and what the runtime keeps for each thread. */
const THREAD_BYTES = 8 * MiB;
/** The runtime keeps the weights of a file, and some of them a second time, packed for the processor. */
const PER_FILE_BYTE = 1.5;

/** Memory that the instances of a version take together. */
export interface LoadCost {
  readonly bytes: number;
  /**
   * Nothing tells what a thread takes of the memory of its process: how much that grew while the version loaded is falsified by whatever
   * else it did. So what a thread takes is estimated from the size of the file, and said to be.
   */
  readonly isEstimate: boolean;
}

/** What one instance of a variant is likely to take. */
export async function estimatedBytes({ file, memoryBytes }: ServableSpec['variants'][number], carrier: CarrierKind): Promise<number> {
  const own = carrier === 'process' ? RUNNER_BYTES : THREAD_BYTES;
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  return own + Math.max(Math.ceil(size * PER_FILE_BYTE), memoryBytes ?? 0);
}

/** What the instances of a version take: as measured, or estimated where that cannot be. */
export async function costOf(
  variant: ServableSpec['variants'][number],
  carrier: CarrierKind,
  instances: number,
  measured: number | undefined,
): Promise<LoadCost> {
  if (measured !== undefined) return { bytes: measured, isEstimate: false };
  return { bytes: (await estimatedBytes(variant, carrier)) * instances, isEstimate: true };
}
