import os from 'node:os';

/** Memory this program may use, bytes: the device's, or what a control group leaves it. */
export function usableMemory(): number {
  const bound = process.constrainedMemory();
  return bound > 0 ? Math.min(bound, os.totalmem()) : os.totalmem();
}
