import type { DataPlane, ServableStatus } from '#agent/inference/contract.js';

/** Versions that requests go to and that cannot answer them; while there are any, the server counts as not ready. */
export function notReady(models: Pick<DataPlane, 'list' | 'routed'>): readonly ServableStatus[] {
  return models.list().filter(({ model, version, state }) => state !== 'available' && models.routed(model) === version);
}
