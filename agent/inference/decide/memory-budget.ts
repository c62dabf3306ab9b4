import type { Millis } from '#shared/kernel/time.js';

/** A version that is in memory. */
export interface Resident {
  /** What its load cost. */
  readonly bytes: number;
  /** When it last took or answered a request, monotonic. */
  readonly lastUsed: Millis;
  /** Nothing is in it now, so that its instances can end; a request brings them back. */
  readonly idle: boolean;
}

type RoomPlan<T> =
  /** There is room once these are unloaded, the least recently used first. */
  | { readonly kind: 'room'; readonly unload: readonly T[] }
  /** There is none as long as the others are in use. */
  | { readonly kind: 'wait' };

/**
 * How to make room for `needed` bytes beside what is loaded. Pure. Nothing in use is unloaded, and nothing more than it takes. A version
 * that alone is larger than the budget is loaded when it is the only one: refusing it would leave its model without an answer.
 */
export function planRoom<T extends Resident>(residents: readonly T[], needed: number, budgetBytes: number): RoomPlan<T> {
  let held = residents.reduce((sum, { bytes }) => sum + bytes, 0);
  const unload: T[] = [];
  for (const resident of residents.filter(({ idle }) => idle).toSorted((a, b) => a.lastUsed - b.lastUsed)) {
    if (held + needed <= budgetBytes) break;
    unload.push(resident);
    held -= resident.bytes;
  }
  const fits = held + needed <= budgetBytes || unload.length === residents.length;
  return fits ? { kind: 'room', unload } : { kind: 'wait' };
}

/** Versions that were used last at least `idleUnload` ago, and when to look again; `undefined`: nothing to wait for. Pure. */
export function planIdle<T extends Resident>(
  residents: readonly T[],
  idleUnload: Millis,
  now: Millis,
): { readonly unload: readonly T[]; readonly lookAt: Millis | undefined } {
  const due = (resident: T): boolean => resident.idle && now - resident.lastUsed >= idleUnload;
  const rest = residents.filter((resident) => !due(resident));
  // One in use is looked at again after a whole time: it cannot be due sooner.
  const times = rest.map(({ idle, lastUsed }) => (idle ? lastUsed : now) + idleUnload);
  return { unload: residents.filter(due), lookAt: times.length === 0 ? undefined : Math.min(...times) };
}
