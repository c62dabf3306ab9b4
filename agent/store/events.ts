import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { type Clock, minutes } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { EventKind } from '#shared/protocol/messages.js';
import type { Outbox } from './contract.js';

/** What happened; device, time and position are added on the way into the outbox. */
export interface AgentEvent {
  readonly kind: EventKind;
  readonly model?: ModelName;
  readonly version?: VersionNumber;
  readonly error?: { readonly code: string; readonly message: string };
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

/** Where every room puts what the hub should hear of. Never throws and never blocks: what cannot be stored is counted and said later. */
export interface EventSink {
  emit(event: AgentEvent): void;
}

/** Losses are told at most this often: telling takes outbox space itself. */
const LOSS_EVENT_EVERY = minutes(10);
const MESSAGE_LENGTH = 2048;

export interface OutboxEventSinkOptions {
  readonly device: string;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The event sink of a running agent: into the outbox, in order. `close` resolves when what was emitted is stored. */
export class OutboxEventSink implements EventSink {
  readonly #options: OutboxEventSinkOptions;
  readonly #stopListening: () => void;
  #tail: Promise<void> = Promise.resolve();
  #unstored = 0;
  #loss = { dropped: 0, coarsened: 0 };
  #lossToldAt = Number.NEGATIVE_INFINITY;

  constructor(options: OutboxEventSinkOptions) {
    this.#options = options;
    this.#stopListening = options.outbox.onLoss((loss) => this.#noteLoss(loss));
  }

  emit(event: AgentEvent): void {
    const at = new Date(this.#options.clock.now()).toISOString();
    this.#tail = this.#tail.then(() => this.#store(event, at));
  }

  async close(): Promise<void> {
    this.#stopListening();
    await this.#tail;
  }

  async #store(event: AgentEvent, at: string): Promise<void> {
    const { device, outbox, logger } = this.#options;
    const error = event.error && { code: event.error.code, message: event.error.message.slice(0, MESSAGE_LENGTH) };
    try {
      await outbox.append('event', { ...event, ...(error && { error }), device, at });
      if (this.#unstored === 0) return;
      const events = this.#unstored;
      this.#unstored = 0;
      this.emit({ kind: 'disk.full', detail: { eventsNotStored: events } });
    } catch (cause) {
      this.#unstored += 1;
      logger.warn({ code: asSkerryError(cause).code, kind: event.kind, model: event.model, version: event.version }, 'event not stored');
    }
  }

  /** DESIGN R4: what is given up is reported, as sums and not one event each. */
  #noteLoss(loss: { readonly dropped: number; readonly coarsened: number }): void {
    this.#loss = { dropped: this.#loss.dropped + loss.dropped, coarsened: this.#loss.coarsened + loss.coarsened };
    const now = this.#options.clock.monotonic();
    if (this.#loss.dropped === 0 || now - this.#lossToldAt < LOSS_EVENT_EVERY) return;
    this.#lossToldAt = now;
    const detail = this.#loss;
    this.#loss = { dropped: 0, coarsened: 0 };
    this.emit({ kind: 'outbox.dropped', detail });
  }
}
