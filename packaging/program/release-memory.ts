import { systemClock } from '#shared/kernel/clock.js';
import { seconds } from '#shared/kernel/time.js';
import { systemAddon } from './system-addon.js';

/** After the first, models from the disk serve and the link is up; after the second, what is called often has been compiled. */
const SETTLED = [seconds(5), seconds(60)];

/** Stands in for shared/kernel/release-memory.ts in a single-file build: `prepare` of packaging/native/system.c. */
export function prepareMemory(): void {
  ifPossible(() => systemAddon().prepare());
}

/** Stands in for shared/kernel/release-memory.ts: `release` of packaging/native/system.c. */
export function releaseMemoryOnceSettled(): void {
  for (const delay of SETTLED) {
    systemClock.schedule(delay, () => ifPossible(() => systemAddon().release()));
  }
}

/** A comfort: who asked for it has work to do that does not depend on it, and will hear of the same fault from there. */
function ifPossible(act: () => void): void {
  try {
    act();
  } catch {
    // See above.
  }
}
