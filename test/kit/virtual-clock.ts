import { type Clock, LONGEST_TIMER, type RawTimers, scheduleOn } from '#shared/kernel/clock.js';
import type { EpochMillis, Millis } from '#shared/kernel/time.js';

/** Time that stands still until a test moves it. Its raw timers overflow as those of Node do. */
export class VirtualClock implements Clock, RawTimers {
  #elapsed: Millis = 0;
  #offset: EpochMillis;
  #timers: { readonly at: Millis; readonly order: number; readonly fn: () => void }[] = [];
  #order = 0;

  constructor(start: EpochMillis = Date.UTC(2026, 0, 1)) {
    this.#offset = start;
  }

  now(): EpochMillis {
    return this.#offset + this.#elapsed;
  }

  monotonic(): Millis {
    return this.#elapsed;
  }

  schedule(delay: Millis, fn: () => void): () => void {
    return scheduleOn(this, delay, fn);
  }

  /** As `setTimeout` of Node: what is no delay, or a longer one than fits, fires after 1 ms. Below 1 ms this clock is finer. */
  start(delay: Millis, fn: () => void): () => void {
    const wait = delay > LONGEST_TIMER || Number.isNaN(delay) ? 1 : Math.max(0, delay);
    const timer = { at: this.#elapsed + wait, order: this.#order++, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Timers not yet due. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Sets the wall clock without time passing, as a correction by the user or NTP does. */
  setWallClock(to: EpochMillis): void {
    this.#offset = to - this.#elapsed;
  }

  /** Lets time pass, firing what falls due in order; what the callbacks started gets to run in between. */
  async advance(by: Millis): Promise<void> {
    const end = this.#elapsed + by;
    for (;;) {
      await settled();
      const next = this.#timers.filter((timer) => timer.at <= end).toSorted((a, b) => a.at - b.at || a.order - b.order)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#elapsed = Math.max(this.#elapsed, next.at);
      next.fn();
    }
    this.#elapsed = end;
    await settled();
  }
}

/** Lets everything that is ready to run do so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
