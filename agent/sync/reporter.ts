import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { Reported } from '#shared/protocol/messages.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { LinkPort } from './contract.js';

export interface ReporterOptions {
  readonly fleet: string;
  readonly device: string;
  readonly link: LinkPort;
  /** What to report now. */
  readonly snapshot: () => Promise<Reported>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Least time between two reports (default 500 ms); changes in between are reported together. */
  readonly minInterval?: Millis;
  /** A report without a change (default 10 minutes). */
  readonly heartbeat?: Millis;
}

/**
 * Publishes the reported state: on connecting, after changes (gathered), and at long intervals.
 * INVARIANT: at most one report is being made; `#wanted` says that another one must follow it.
 */
export class Reporter implements Service {
  readonly #options: ReporterOptions;
  readonly #minInterval: Millis;
  #cancelTimer: () => void = () => undefined;
  #unwatch: () => void = () => undefined;
  #wanted = false;
  #running: Promise<void> | undefined;
  #lastAt = Number.NEGATIVE_INFINITY;
  #last = '';
  #closed = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#minInterval = options.minInterval ?? 500;
  }

  async start(): Promise<void> {
    this.#unwatch = this.#options.link.onStatus((status) => {
      if (status.kind === 'online') this.now();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unwatch();
    await this.#running;
    this.#cancelTimer();
  }

  /** Something that is reported changed. */
  changed(): void {
    this.#want(Math.max(0, this.#lastAt + this.#minInterval - this.#options.clock.monotonic()));
  }

  /** Report even if nothing changed (a new session, or the hub asks). */
  now(): void {
    this.#last = '';
    this.#want(0);
  }

  #want(delay: Millis): void {
    if (this.#closed || this.#options.link.status.kind !== 'online') return;
    this.#wanted = true;
    if (this.#running === undefined) this.#plan(delay, () => this.#begin());
  }

  #plan(delay: Millis, act: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.schedule(delay, act);
  }

  #begin(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#wanted) this.changed();
      else this.#plan(this.#options.heartbeat ?? minutes(10), () => this.now());
    });
  }

  async #run(): Promise<void> {
    this.#wanted = false;
    this.#lastAt = this.#options.clock.monotonic();
    try {
      await this.#publish();
    } catch (cause) {
      const { code, message } = asSkerryError(cause);
      this.#options.logger.warn({ code, reason: message }, 'the state could not be reported; retrying on the next change or connect');
    }
  }

  async #publish(): Promise<void> {
    const { link, fleet, device, snapshot } = this.#options;
    const reported = await snapshot();
    const content = JSON.stringify({ ...reported, at: '' });
    if (content === this.#last) return;
    await link.publish(deviceTopic(fleet, device, 'reported'), encodeMessage('reported', reported), { retain: true });
    this.#last = content;
  }
}
