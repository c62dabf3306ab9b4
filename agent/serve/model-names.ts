import type { DataPlane } from '#agent/inference/contract.js';

/** Names of the models that are loaded, each once. */
export function modelNames(models: Pick<DataPlane, 'list'>): readonly string[] {
  return [...new Set(models.list().map(({ model }) => model))];
}
