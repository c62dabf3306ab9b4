import { systemAddon } from './system-addon.js';

/** Stands in for shared/kernel/release-memory.ts in a single-file build: `release` of packaging/native/system.c. */
export function releaseMemory(): void {
  try {
    systemAddon().release();
  } catch {
    // A comfort: who asked for it has work to do that does not depend on it, and will hear of the same fault from there.
  }
}
