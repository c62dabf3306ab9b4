import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import type { Outbox } from '#agent/store/contract.js';
import type { AgentEvent, EventSink } from '#agent/store/events.js';

interface EventLogDeps {
  readonly device: string;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Events held in memory while the store is slow. */
const MAX_WAITING = 1_000;

/**
 * Puts events into the outbox, in the order they were emitted. One that cannot be stored (a full disk) is counted, and the
 * next one that can be says how many were lost (R4).
 */
export class EventLog implements EventSink {
  readonly #deps: EventLogDeps;
  readonly #writes = new ExclusiveQueue();
  #lost = 0;
  #waiting = 0;

  constructor(deps: EventLogDeps) {
    this.#deps = deps;
    deps.outbox.onLoss(({ dropped }) => {
      if (dropped > 0) this.#lost += dropped;
    });
  }

  emit(event: AgentEvent): void {
    const { device, clock } = this.#deps;
    if (this.#waiting >= MAX_WAITING) {
      this.#lost += 1;
      return;
    }
    this.#waiting += 1;
    const record = { device, at: new Date(clock.now()).toISOString(), ...event };
    void this.#writes.run(() => this.#store(record));
  }

  /** Resolves when everything emitted so far is in the outbox or counted as lost. */
  settled(): Promise<void> {
    return this.#writes.idle();
  }

  async #store(record: Readonly<Record<string, unknown>>): Promise<void> {
    const { outbox, logger } = this.#deps;
    try {
      await outbox.append('event', record);
      await this.#reportLoss(record);
    } catch (cause) {
      this.#lost += 1;
      logger.warn({ kind: record['kind'], reason: asSkerryError(cause).message }, 'an event could not be stored');
    } finally {
      this.#waiting -= 1;
    }
  }

  async #reportLoss(after: Readonly<Record<string, unknown>>): Promise<void> {
    const lost = this.#lost;
    // Reporting a loss may itself push a record out; that is reported with the next event, or this would never end.
    if (lost === 0) return;
    this.#lost = 0;
    const { outbox } = this.#deps;
    const report = { device: after['device'], at: after['at'], kind: 'outbox.dropped', detail: { records: lost } };
    await outbox.append('event', report).catch((cause: unknown) => {
      this.#lost += lost;
      throw cause;
    });
  }
}
