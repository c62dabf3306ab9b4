import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';

/** One timer for many deadlines: most requests are answered long before theirs, and one timer each would cost them more than it gives. */
export class EarliestTimer {
  readonly #clock: Clock;
  readonly #due: (now: Millis) => Millis;
  #at = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  /** `due` handles what is due and gives the next time; infinite when there is none. */
  constructor(clock: Clock, due: (now: Millis) => Millis) {
    this.#clock = clock;
    this.#due = due;
  }

  /** It fires at `at` at the latest. */
  by(at: Millis): void {
    if (at >= this.#at) return;
    this.#cancel?.();
    this.#at = at;
    this.#cancel = this.#clock.schedule(at - this.#clock.monotonic(), () => {
      this.stop();
      this.by(this.#due(this.#clock.monotonic()));
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#at = Number.POSITIVE_INFINITY;
  }
}
