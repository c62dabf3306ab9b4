import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { type Bucket, fullBucket, type Rate, refilled, takeToken } from './decide/token-bucket.js';

/** Clients of which it is remembered how often they asked. */
const MAX_CLIENTS = 8_192;

/** How often each client asked lately. A client that was evicted starts anew, which takes as many other clients as are remembered. */
export class RateLimiter {
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** The one that asked last is the last. */
  readonly #buckets = new BoundedMap<string, Bucket>(MAX_CLIENTS);

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Counts one request of a client; how long it has to wait where it asks too often. */
  take(client: string, rate: Rate): Millis | undefined {
    const now = this.#clock.monotonic();
    const { bucket, wait } = takeToken(this.#buckets.get(client) ?? fullBucket(rate, now), rate, now);
    this.#buckets.set(client, bucket);
    return wait;
  }

  /** How long a client has to wait now; counts nothing. */
  waits(client: string, rate: Rate): Millis | undefined {
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(client);
    return bucket === undefined ? undefined : takeToken(refilled(bucket, rate, now), rate, now).wait;
  }
}
