import type { Millis } from './time.js';

export interface BackoffOptions {
  /** Ceiling of the first delay. */
  readonly base: Millis;
  /** Ceiling of every delay. */
  readonly max: Millis;
  /** Uniform in [0, 1); injected so that tests are repeatable. */
  readonly random: () => number;
}

/**
 * Delay before retry number `attempt` (0 first): exponential with full jitter, uniform in [0, min(max, base * 2^attempt)).
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export function fullJitter(attempt: number, options: BackoffOptions): Millis {
  const ceiling = Math.min(options.max, options.base * 2 ** Math.min(attempt, 30));
  return Math.floor(options.random() * ceiling);
}
