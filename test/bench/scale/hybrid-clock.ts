import { type Clock, foregroundClock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';

/** Real time that can be put forward: what takes time takes it, and hours of a fleet's life pass in between at once. */
export class HybridClock implements Clock {
  #ahead: Millis = 0;

  now(): number {
    return Date.now() + this.#ahead;
  }

  monotonic(): Millis {
    return performance.now() + this.#ahead;
  }

  schedule(delay: Millis, fn: () => void): () => void {
    return foregroundClock.schedule(delay, fn);
  }

  skip(by: Millis): void {
    this.#ahead += by;
  }
}
