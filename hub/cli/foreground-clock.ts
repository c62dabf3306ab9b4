import { type Clock, systemClock } from '#shared/kernel/clock.js';

/** The system's clock for a command that waits: its timers keep the process alive, those of `systemClock` do not. */
export const foregroundClock: Clock = {
  ...systemClock,
  schedule(delay, fn) {
    const timer = setTimeout(fn, delay);
    return () => clearTimeout(timer);
  },
};
