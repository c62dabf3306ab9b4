import type { Digest, VersionNumber } from '#shared/bundle/names.js';
import type { Millis } from '#shared/kernel/time.js';

/** What a step of a plan is about, whichever kind of version it installs. */
export interface InstallStep {
  readonly kind: string;
  readonly version?: VersionNumber | undefined;
  readonly digest?: Digest | undefined;
}

/** What a plan says: the next step, and when to plan again though nothing happened (monotonic). */
export interface StepPlan<S extends InstallStep> {
  readonly step?: S;
  readonly wakeAt?: Millis;
}

export interface StepError {
  readonly code: string;
  readonly message: string;
  /** What the error was decided on; reported, not stored. */
  readonly figures?: Readonly<Record<string, number>>;
}

/** A step that failed and is not tried again before `until` (monotonic). */
export interface HeldStep {
  readonly key: string;
  readonly until: Millis;
}

/** Identifies a step across plans: when a plan names a held step again, that step waits out its delay. */
export function stepKey({ kind, version, digest }: InstallStep): string {
  return `${kind}/${version ?? ''}/${digest ?? ''}`;
}

/** When a held step may be tried again; `undefined` when it is not held. */
export function heldUntil(held: readonly HeldStep[], step: InstallStep): Millis | undefined {
  const key = stepKey(step);
  return held.find((hold) => hold.key === key)?.until;
}
