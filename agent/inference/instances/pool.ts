import { fullJitter } from '#shared/kernel/backoff.js';
import type { Clock } from '#shared/kernel/clock.js';
import { hours, type Millis } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Instance } from './instance.js';
import type { InferenceSettings } from '../settings.js';

interface PoolParts {
  /** Brings up one more warm instance. */
  readonly start: () => Promise<Instance>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: Pick<InferenceSettings, 'instances' | 'restartLimit' | 'restartWindow'>;
  readonly logger: Logger;
  /** An instance became idle. */
  readonly onIdle: () => void;
  /** An instance ended unasked. */
  readonly onEnded?: (reason: SkerryError) => void;
  /** Workers ended more often than the limit allows; the pool has given up. */
  readonly onFailed: (error: SkerryError) => void;
}

/** Once an instance may not come back, and is replaced; more often within the window the version is at fault. */
const STUCK_LIMIT = 1;
const STUCK_WINDOW: Millis = hours(6);

const RESTART_BASE: Millis = 200;
const RESTART_MAX: Millis = 30_000;

/**
 * The instances of one servable. One that ends unasked is replaced, with back-off, until the limit.
 * INVARIANTS: an instance is in at most one of `idle` and its caller's hands; instances alive or coming never exceed
 * `settings.instances`; after `close` none is alive.
 */
export class InstancePool {
  readonly #parts: PoolParts;
  readonly #alive = new Set<Instance>();
  readonly #idle: Instance[] = [];
  readonly #coming = new Set<Promise<void>>();
  #ends: readonly Millis[] = [];
  #stuck: readonly Millis[] = [];
  readonly #restarts = new Set<() => void>();
  #closed = false;

  constructor(parts: PoolParts, first: Instance) {
    this.#parts = parts;
    this.#adopt(first);
  }

  /** Brings up the rest of the instances; resolves once all are there. */
  async fill(): Promise<void> {
    while (!this.#closed && this.#alive.size < this.#parts.settings.instances) {
      // One that comes in place of an ended one counts as well.
      if (this.#hasRoom()) await this.#bringUp();
      else await Promise.allSettled(this.#coming);
    }
  }

  get hasIdle(): boolean {
    return this.#idle.length > 0;
  }

  /** Takes an idle instance, to be given back by `release`. */
  acquire(): Instance | undefined {
    let instance = this.#idle.pop();
    while (instance !== undefined && !instance.alive) instance = this.#idle.pop();
    return instance;
  }

  release(instance: Instance): void {
    // A dead one is given back before the news of its end arrives: no further request may go to it.
    if (!this.#alive.has(instance) || !instance.alive) return;
    this.#idle.push(instance);
    this.#parts.onIdle();
  }

  /** What ending its instances gives back, bytes; `undefined` where one cannot tell. */
  async ownBytes(): Promise<number | undefined> {
    const sizes = await Promise.all([...this.#alive].map((instance) => instance.ownBytes()));
    return sizes.reduce((sum, size) => (sum === undefined || size === undefined ? undefined : sum + size), 0);
  }

  /** Ends every instance, each after what it is doing. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#restarts) cancel();
    this.#restarts.clear();
    this.#idle.length = 0;
    const closing = [...this.#alive].map((instance) => instance.close());
    // What comes up now is ended on arrival; whether it comes up does not matter any more.
    await Promise.allSettled([...this.#coming, ...closing]);
    await Promise.all(closing);
  }

  #hasRoom(): boolean {
    return this.#alive.size + this.#coming.size < this.#parts.settings.instances;
  }

  /** Starts one more instance; it counts as coming until it is alive, or has ended because the pool was closed meanwhile. */
  #bringUp(): Promise<void> {
    const coming = this.#startOne().finally(() => this.#coming.delete(coming));
    this.#coming.add(coming);
    return coming;
  }

  async #startOne(): Promise<void> {
    const instance = await this.#parts.start();
    if (this.#closed) await instance.close();
    else this.#adopt(instance);
  }

  #adopt(instance: Instance): void {
    this.#alive.add(instance);
    this.#idle.push(instance);
    void instance.ended.then((reason) => this.#ended(instance, reason));
    this.#parts.onIdle();
  }

  #ended(instance: Instance, reason: SkerryError | undefined): void {
    this.#alive.delete(instance);
    const at = this.#idle.indexOf(instance);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#closed) return;
    const why = reason ?? new SkerryError('INFERENCE_INSTANCE_DIED', 'the instance ended');
    this.#parts.onEnded?.(why);
    this.#restartAfter(why);
  }

  #restartAfter(reason: SkerryError): void {
    const { clock, settings, logger, random } = this.#parts;
    const now = clock.monotonic();
    this.#ends = [...this.#ends.filter((end) => now - end < settings.restartWindow), now];
    if (reason.code === 'INFERENCE_STUCK') this.#stuck = [...this.#stuck.filter((end) => now - end < STUCK_WINDOW), now];
    if (this.#ends.length > settings.restartLimit || this.#stuck.length > STUCK_LIMIT) {
      this.#closed = true;
      this.#parts.onFailed(
        new SkerryError(
          // A crash is the version's fault, and is told as one; being killed for memory may be anybody's.
          reason.code === 'INFERENCE_CRASHED' ? reason.code : 'INFERENCE_SERVABLE_FAILED',
          `its instances ended unexpectedly ${this.#ends.length} times in ${settings.restartWindow / 1000} s; the last time: ${reason.message}`,
          { cause: reason },
        ),
      );
      return;
    }
    // The first at once: one that crashed on a request does not meet that request again.
    const delay = this.#ends.length === 1 ? 0 : fullJitter(this.#ends.length - 2, { base: RESTART_BASE, max: RESTART_MAX, random });
    logger.warn({ code: reason.code, ends: this.#ends.length, delay }, `${reason.message}; restarting it`);
    const cancel = clock.schedule(delay, () => {
      this.#restarts.delete(cancel);
      void this.#restart();
    });
    this.#restarts.add(cancel);
  }

  async #restart(): Promise<void> {
    if (this.#closed || !this.#hasRoom()) return;
    try {
      await this.#bringUp();
    } catch (cause) {
      if (!this.#closed) this.#restartAfter(asSkerryError(cause));
    }
  }
}
