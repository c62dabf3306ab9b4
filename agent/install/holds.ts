import { fullJitter, type BackoffOptions } from '#shared/kernel/backoff.js';
import type { Millis } from '#shared/kernel/time.js';
import { type HeldStep, type InstallStep, stepKey } from './decide/install-step.js';

const NONE: readonly HeldStep[] = [];

/** Steps that failed, and how long each waits before the next attempt. */
export class Holds {
  readonly #held = new Map<string, { readonly until: Millis; readonly count: number }>();
  #list: readonly HeldStep[] | undefined;

  /** The very same list as long as nothing changed. */
  list(): readonly HeldStep[] {
    this.#list ??= this.#held.size === 0 ? NONE : [...this.#held].map(([key, { until }]) => ({ key, until }));
    return this.#list;
  }

  /** How often this step failed in a row. */
  count(step: InstallStep): number {
    return this.#held.get(stepKey(step))?.count ?? 0;
  }

  /** The step failed at `now`; each failure in a row lengthens the delay. */
  hold(step: InstallStep, now: Millis, backoff: BackoffOptions, count = this.count(step)): void {
    this.#held.set(stepKey(step), { until: now + fullJitter(count, backoff), count: count + 1 });
    this.#list = undefined;
  }

  release(step: InstallStep): void {
    this.#held.delete(stepKey(step));
    this.#list = undefined;
  }

  /** Ends every delay; the counts of failures stay. */
  endWaits(): void {
    for (const [key, { count }] of this.#held) this.#held.set(key, { until: Number.NEGATIVE_INFINITY, count });
    this.#list = undefined;
  }

  clear(): void {
    this.#held.clear();
    this.#list = undefined;
  }
}
