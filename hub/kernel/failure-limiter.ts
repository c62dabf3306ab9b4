import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes } from '#shared/kernel/time.js';

interface FailureLimits {
  /** Failures an address may make in one window. */
  readonly failures: number;
  readonly window: Millis;
  /** Addresses remembered; beyond it the one that failed longest ago is forgotten. */
  readonly addresses: number;
}

const DEFAULTS: FailureLimits = { failures: 20, window: minutes(1), addresses: 10_000 };

/**
 * Counts failed attempts to sign in by source address. Guessing 256 random bits is hopeless anyway; this keeps a flood of
 * guesses from costing more than a table look-up each.
 */
export class FailureLimiter {
  readonly #clock: Clock;
  readonly #limits: FailureLimits;
  readonly #byAddress = new Map<string, { since: Millis; failures: number }>();

  constructor(clock: Clock, limits: FailureLimits = DEFAULTS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Milliseconds this address has to wait; 0 when it need not. */
  waitOf(address: string): Millis {
    const entry = this.#byAddress.get(address);
    if (entry === undefined || entry.failures < this.#limits.failures) return 0;
    return Math.max(0, entry.since + this.#limits.window - this.#clock.monotonic());
  }

  failed(address: string): void {
    const now = this.#clock.monotonic();
    const known = this.#byAddress.get(address);
    const entry = known !== undefined && now - known.since < this.#limits.window ? known : { since: now, failures: 0 };
    entry.failures += 1;
    this.#byAddress.delete(address);
    this.#byAddress.set(address, entry);
    if (this.#byAddress.size > this.#limits.addresses) {
      const [oldest] = this.#byAddress.keys();
      if (oldest !== undefined) this.#byAddress.delete(oldest);
    }
  }
}
