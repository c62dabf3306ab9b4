import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, seconds } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';

const RETRY_AFTER: Millis = seconds(1);

/**
 * Work that follows something that is stored already and must not be lost when the disk is full just then: it is kept and done
 * again until there is room. For each key the newest work is kept, so what is held is bounded by the devices there are.
 */
export class WhenRoom {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, () => Promise<void>>();
  #cancel: (() => void) | undefined;
  #round: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Does the work now, or later when the disk is full; another failure is the caller's. */
  async run(key: string, work: () => Promise<void>): Promise<void> {
    this.#waiting.delete(key);
    try {
      await work();
    } catch (cause) {
      const error = asSkerryError(cause);
      if (error.code !== 'DISK_FULL') throw cause;
      this.#logger.error(
        { code: error.code, cause: error.message, work: key },
        'the disk is full; the work is pending until space is free',
      );
      this.#waiting.set(key, work);
      this.#schedule();
    }
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#round;
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#cancel ??= this.#clock.schedule(RETRY_AFTER, () => {
      this.#cancel = undefined;
      this.#round = this.#again();
    });
  }

  async #again(): Promise<void> {
    for (const [key, work] of this.#waiting) {
      try {
        await work();
        this.#forget(key, work);
      } catch (cause) {
        const error = asSkerryError(cause);
        // What fails for another reason would do so for ever.
        if (error.code === 'DISK_FULL') break;
        this.#forget(key, work);
        this.#logger.error({ code: error.code, cause: error.message, work: key }, 'work that a full disk had delayed failed');
      }
    }
    if (this.#waiting.size > 0) this.#schedule();
  }

  /** Newer work that came to wait under the same key meanwhile stays. */
  #forget(key: string, work: () => Promise<void>): void {
    if (this.#waiting.get(key) === work) this.#waiting.delete(key);
  }
}
