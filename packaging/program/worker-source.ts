import { getAsset } from 'node:sea';
import type { WorkerSource } from '#shared/kernel/worker-source.js';
import { workerAsset } from './worker-asset.js';

/** Stands in for shared/kernel/worker-source.ts in a single-file build: the code of every worker is an asset of the executable. */
export function workerSource(name: string, _url: URL): WorkerSource {
  return { kind: 'code', code: getAsset(workerAsset(name), 'utf8') };
}
