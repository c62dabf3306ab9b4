import { fullJitter, type BackoffOptions } from '#shared/kernel/backoff.js';
import type { Millis } from '#shared/kernel/time.js';
import type { HeldStep } from './decide/snapshot.js';
import { type Step, stepKey } from './decide/step.js';

const NONE: readonly HeldStep[] = [];

/** Steps of one model that failed, and how long each is left alone. */
export class Holds {
  readonly #held = new Map<string, { readonly until: Millis; readonly count: number }>();
  #list: readonly HeldStep[] | undefined;

  /** The very same list as long as nothing changed. */
  list(): readonly HeldStep[] {
    this.#list ??= this.#held.size === 0 ? NONE : [...this.#held].map(([key, { until }]) => ({ key, until }));
    return this.#list;
  }

  /** How often this step failed in a row. */
  count(step: Step): number {
    return this.#held.get(stepKey(step))?.count ?? 0;
  }

  /** The step failed at `now`; it waits for longer each time. */
  hold(step: Step, now: Millis, backoff: BackoffOptions, count = this.count(step)): void {
    this.#held.set(stepKey(step), { until: now + fullJitter(count, backoff), count: count + 1 });
    this.#list = undefined;
  }

  succeeded(step: Step): void {
    this.#held.delete(stepKey(step));
    this.#list = undefined;
  }

  /** Ends every wait; how often each failed stays known. */
  endWaits(): void {
    for (const [key, { count }] of this.#held) this.#held.set(key, { until: Number.NEGATIVE_INFINITY, count });
    this.#list = undefined;
  }

  clear(): void {
    this.#held.clear();
    this.#list = undefined;
  }
}
