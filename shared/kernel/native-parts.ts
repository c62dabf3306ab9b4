import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

const KEY = 'skerry.data-folder';

/**
 * Says which data folder this process works in. A single-file build unpacks its native libraries below it, when the first
 * thread needs one; from source they lie in node_modules. Worker threads started later know it too.
 */
export function keepNativePartsBelow(dataFolder: string): void {
  setEnvironmentData(KEY, dataFolder);
}

/** The folder given to `keepNativePartsBelow`, in this thread or in the one that started it. */
export function nativePartsHome(): string | undefined {
  const home: unknown = getEnvironmentData(KEY);
  return typeof home === 'string' ? home : undefined;
}
