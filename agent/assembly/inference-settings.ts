import { usableMemory } from '#shared/kernel/usable-memory.js';
import type { InferenceSettings } from '../inference/settings.js';
import type { ServingConfig } from '../serving-settings.js';

/** What the data plane is told. */
export function inferenceSettings(config: ServingConfig): Partial<InferenceSettings> {
  const { instances, threads, isolation, predictionLimit, loadLimit, idleUnload } = config;
  return {
    instances,
    threads,
    isolation,
    predictionLimit,
    loadLimit,
    modelMemory: modelBytes(config.modelMemory, usableMemory()),
    idleUnload: idleUnload === 'never' ? undefined : idleUnload,
  };
}

function modelBytes(setting: ServingConfig['modelMemory'], memoryBytes: number): number | undefined {
  if (setting === 'none') return undefined;
  return typeof setting === 'number' ? setting : Math.floor((memoryBytes * Number.parseInt(setting, 10)) / 100);
}
