import type { Observation } from '../decide/devices.js';
import type { FleetPort } from '../ports.js';

export type ObservedWish = Parameters<FleetPort['observe']>[0][number];
export type ReadObservation = Omit<Observation, 'heardAt'>;

/** What an outcome was read from; as long as it is the same, so is the outcome. */
interface Basis {
  readonly version: number | null;
  readonly manifest: string | null;
  readonly action: string;
  /** Counter of the newest statement to the device. */
  readonly counter: number;
  /** Revision of its reported state. */
  readonly revision: number;
}

/** Devices times models remembered; beyond it everything is forgotten, and read again. */
const MOST = 500_000;

/** What devices' reports said of wishes, so that a report is parsed once and not at every look. */
export class ObservationCache {
  readonly #known = new Map<string, { readonly basis: Basis; readonly outcome: ReadObservation }>();

  /** The outcome that was read from this very statement, wish and report. */
  find(wish: ObservedWish, counter: number, revision: number): ReadObservation | undefined {
    const known = this.#known.get(keyOf(wish));
    return known !== undefined && isSame(known.basis, basisOf(wish, counter, revision)) ? known.outcome : undefined;
  }

  keep(wish: ObservedWish, counter: number, revision: number, outcome: ReadObservation): void {
    if (this.#known.size >= MOST) this.#known.clear();
    this.#known.set(keyOf(wish), { basis: basisOf(wish, counter, revision), outcome });
  }
}

function keyOf({ device, model }: ObservedWish): string {
  return `${device} ${model}`;
}

function basisOf({ target, action }: ObservedWish, counter: number, revision: number): Basis {
  return { version: target?.version ?? null, manifest: target?.manifest ?? null, action, counter, revision };
}

function isSame(a: Basis, b: Basis): boolean {
  return (
    a.revision === b.revision && a.counter === b.counter && a.version === b.version && a.action === b.action && a.manifest === b.manifest
  );
}
