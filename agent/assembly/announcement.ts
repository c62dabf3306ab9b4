import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, seconds } from '#shared/kernel/time.js';
import type { Logger } from '#shared/kernel/logger.js';
import { announce, type RunningAgent } from '../running.js';
import { isReadOnly } from '../store/read-only.js';

const RETRY_AFTER: Millis = seconds(5);

/** Writes how this agent is found, now or as soon as the disk takes it. */
export class Announcement {
  readonly #data: string;
  readonly #running: RunningAgent;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #cancel: () => void = () => undefined;
  #attempt: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(data: string, running: RunningAgent, clock: Clock, logger: Logger) {
    this.#data = data;
    this.#running = running;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Resolves after the first attempt. */
  async start(): Promise<void> {
    if (await announce(this.#data, this.#running)) return;
    const [code, until] = isReadOnly(this.#data) ? ['STORE_READ_ONLY', 'the disk is writable'] : ['DISK_FULL', 'disk space is free'];
    this.#logger.warn({ code }, `agent.json could not be written; commands cannot find this agent until ${until}`);
    this.#again();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    await this.#attempt;
  }

  #again(): void {
    if (this.#closed) return;
    this.#cancel = this.#clock.schedule(RETRY_AFTER, () => {
      this.#attempt = this.#try();
    });
  }

  async #try(): Promise<void> {
    const done = await announce(this.#data, this.#running).catch(() => false);
    if (done) this.#logger.info({}, 'agent.json was written; disk space is available again');
    else this.#again();
  }
}
