import { getAsset } from 'node:sea';
import type { WorkerSource } from '#shared/kernel/worker-source.js';
import { starterAsset } from './script-asset.js';

/** Stands in for shared/kernel/worker-source.ts in a single-file build: the code of every worker is in the executable. */
export function workerSource(name: string, _url: URL): WorkerSource {
  return { kind: 'code', code: getAsset(starterAsset(name), 'utf8') };
}
