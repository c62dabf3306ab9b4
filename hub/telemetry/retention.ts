import type { Db } from '#hub/store/database.js';
import { type Clock, hours, type Millis, minutes } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';

export interface RetentionSettings {
  readonly events: Millis;
  /** Measurements over all devices. */
  readonly models: Millis;
  /** Measurements of single devices: many rows, and of use for as long as a rollout compares devices. */
  readonly devices: Millis;
}

const EVERY = hours(1);
const FIRST = minutes(1);

/**
 * Drops what is older than it is to be kept. The positions of counted records stay: a record may come again however late,
 * and must not count twice (DESIGN R3); they are a few bytes for each boot of a device.
 */
export class Retention implements Service {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: RetentionSettings;
  #cancel: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(db: Db, clock: Clock, logger: Logger, settings: RetentionSettings) {
    this.#db = db;
    this.#clock = clock;
    this.#logger = logger;
    this.#settings = settings;
  }

  async start(): Promise<void> {
    this.#plan(FIRST);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    await this.#running;
  }

  /** Drops now; resolves with how many rows went. */
  async sweep(): Promise<number> {
    const now = this.#clock.now();
    const { events, models, devices } = this.#settings;
    const results = [
      await this.#db
        .deleteFrom('events')
        .where('received_at', '<', now - events)
        .executeTakeFirst(),
      await this.#db
        .deleteFrom('metrics_model')
        .where('bucket', '<', now - models)
        .executeTakeFirst(),
      await this.#db
        .deleteFrom('metrics_device')
        .where('bucket', '<', now - devices)
        .executeTakeFirst(),
    ];
    return results.reduce((sum, result) => sum + Number(result.numDeletedRows), 0);
  }

  #plan(delay: Millis): void {
    if (this.#closed) return;
    this.#cancel = this.#clock.schedule(delay, () => {
      this.#running = this.#run();
    });
  }

  async #run(): Promise<void> {
    try {
      const rows = await this.sweep();
      if (rows > 0) this.#logger.info({ rows }, 'old telemetry dropped');
    } catch (cause) {
      this.#logger.error({ cause: asSkerryError(cause).message }, 'old telemetry could not be dropped');
    }
    this.#plan(EVERY);
  }
}
