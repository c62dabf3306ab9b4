import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Db } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import { type EpochMillis, hours, type Millis, minutes } from '#shared/kernel/time.js';
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
/** What one statement drops: no more than every device's bucket of the usual width. */
const SLICE = minutes(1);

/**
 * Drops what is older than it is to be kept. The positions of counted records are no matter of age: a record may come
 * again however late, and must not count twice (R3), also after its device was removed and restored. They are bounded by
 * themselves (seen.ts), and go with the key of their device (hub/fleet/enrolment.ts).
 */
export class Retention implements Service {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: RetentionSettings;
  readonly #mayDrop: () => boolean;
  #cancel: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(db: Db, clock: Clock, logger: Logger, settings: RetentionSettings, mayDrop: () => boolean = () => true) {
    this.#db = db;
    this.#clock = clock;
    this.#logger = logger;
    this.#settings = settings;
    this.#mayDrop = mayDrop;
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
    return (
      (await this.#slices(now - events, (until) => this.#events(until))) +
      (await this.#slices(now - models, (until) => this.#buckets('metrics_model', until))) +
      (await this.#slices(now - devices, (until) => this.#buckets('metrics_device', until)))
    );
  }

  /** The oldest slice before `until` at a time, so that a fleet's hour does not hold up the hub at once; resolves with how many rows went. */
  async #slices(until: EpochMillis, drop: (until: EpochMillis) => Promise<number | undefined>): Promise<number> {
    let sum = 0;
    for (let rows = await drop(until); rows !== undefined && !this.#closed; rows = await drop(until)) {
      sum += rows;
      await yieldToLoop();
    }
    return sum;
  }

  /** Undefined when nothing is that old. */
  async #events(until: EpochMillis): Promise<number | undefined> {
    const oldest = await this.#db.selectFrom('events').select('received_at').orderBy('received_at').limit(1).executeTakeFirst();
    if (oldest === undefined || oldest.received_at >= until) return undefined;
    const before = Math.min(until, oldest.received_at + SLICE);
    const { numDeletedRows } = await this.#db.deleteFrom('events').where('received_at', '<', before).executeTakeFirstOrThrow();
    return Number(numDeletedRows);
  }

  async #buckets(table: 'metrics_model' | 'metrics_device', until: EpochMillis): Promise<number | undefined> {
    const oldest = await this.#db.selectFrom(table).select('bucket').orderBy('bucket').limit(1).executeTakeFirst();
    if (oldest === undefined || oldest.bucket >= until) return undefined;
    const before = Math.min(until, oldest.bucket + SLICE);
    const { numDeletedRows } = await this.#db.deleteFrom(table).where('bucket', '<', before).executeTakeFirstOrThrow();
    return Number(numDeletedRows);
  }

  #plan(delay: Millis): void {
    if (this.#closed) return;
    this.#cancel = this.#clock.schedule(delay, () => {
      this.#running = this.#run();
    });
  }

  async #run(): Promise<void> {
    try {
      // By a clock that jumped everything would be old.
      if (!this.#mayDrop()) return this.#plan(EVERY);
      const rows = await this.sweep();
      if (rows > 0) this.#logger.info({ rows }, 'old telemetry dropped');
    } catch (cause) {
      this.#logger.error({ cause: asSkerryError(cause).message }, 'old telemetry could not be dropped');
    }
    this.#plan(EVERY);
  }
}
