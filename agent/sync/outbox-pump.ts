import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, seconds } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { Outbox, Position } from '#agent/store/contract.js';
import type { LinkPort } from './contract.js';
import { DEFAULT_WINDOW, OutboxWindow, type WindowSettings } from './outbox-window.js';

interface OutboxPumpOptions {
  readonly fleet: string;
  readonly device: string;
  readonly link: LinkPort;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings?: Partial<WindowSettings>;
}

/** Wait after the store failed (a full disk, mostly). */
const RETRY_AFTER: Millis = seconds(10);

/**
 * Sends what lies in the outbox, a window at a time, and forgets a record only when the hub says that it has stored (or
 * knowingly refused) it: the broker's own acknowledgement counts for nothing here (R3). What stays unacknowledged
 * after a reconnect or a silence goes again under the same position, by which the hub counts it once.
 * INVARIANTS: at most one `#fill` runs; whoever wants another while it runs sets `#again`.
 */
export class OutboxPump implements Service {
  readonly #options: OutboxPumpOptions;
  readonly #window: OutboxWindow;
  readonly #undo: (() => void)[] = [];
  #cancelTimer: () => void = () => undefined;
  #filling: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #refused = 0;
  /** Of the starts whose records were sent, by their number. */
  readonly #bootIds = new Map<number, string | undefined>();
  readonly #onStored = new Set<(records: readonly Position[]) => void>();

  constructor(options: OutboxPumpOptions) {
    this.#options = options;
    this.#window = new OutboxWindow({ ...DEFAULT_WINDOW, ...options.settings });
  }

  /** Records the hub refused since the start. */
  get refused(): number {
    return this.#refused;
  }

  /** Called with the positions of records that the hub says it has stored; those it refused are not among them. */
  onStored(listener: (records: readonly Position[]) => void): () => void {
    this.#onStored.add(listener);
    return () => this.#onStored.delete(listener);
  }

  async start(): Promise<void> {
    const { link, outbox, fleet, device } = this.#options;
    const acks = link.subscribe(deviceTopic(fleet, device, 'ack'), (_topic, payload) => this.#onAck(payload));
    this.#undo.push(
      () => acks.close(),
      link.onStatus((status) => {
        if (status.kind !== 'online') return;
        this.#window.restart('reconnect');
        this.#wake();
      }),
      outbox.onAppend(() => this.#wake()),
    );
    this.#wake();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const undo of this.#undo.splice(0)) undo();
    this.#cancelTimer();
    await this.#filling;
  }

  #wake(): void {
    if (this.#closed || this.#options.link.status.kind !== 'online') return;
    if (this.#filling !== undefined) {
      this.#again = true;
      return;
    }
    this.#filling = this.#run();
  }

  async #run(): Promise<void> {
    let failed = false;
    try {
      do {
        this.#again = false;
        await this.#fill();
      } while (this.#again && !this.#closed);
    } catch (cause) {
      failed = true;
      this.#options.logger.warn({ err: asSkerryError(cause) }, 'the outbox could not be read; retrying later');
    }
    // In the same turn as the last look at `#again`: a wake-up in between would be lost.
    this.#filling = undefined;
    this.#plan(failed);
  }

  async #fill(): Promise<void> {
    const { outbox, clock, link, fleet, device, logger } = this.#options;
    while (!this.#closed && link.status.kind === 'online') {
      const room = this.#window.room(clock.monotonic());
      if (room === 0) return;
      const before = this.#window.cursor;
      const records = await outbox.peek(before, room);
      // A reconnect while the store was asked put the cursor back; what it read no longer fits.
      if (this.#window.cursor !== before) continue;
      if (records.length === 0) return;
      for (const record of records) {
        this.#window.sent(record.seq, clock.monotonic());
        this.#bootIds.set(record.boot, record.bootId);
        link.publish(deviceTopic(fleet, device, record.kind), record.payload).catch((cause: unknown) => {
          logger.debug({ seq: record.seq, reason: asSkerryError(cause).message }, 'a record did not reach the broker; retrying later');
        });
      }
    }
  }

  /** One timer, only while there is something to wait for: an idle agent does not wake up. */
  #plan(failed: boolean): void {
    this.#cancelTimer();
    if (this.#closed) return;
    const { clock } = this.#options;
    const now = clock.monotonic();
    const retryAt = failed ? now + RETRY_AFTER : undefined;
    const times = [this.#window.silentAt(), this.#window.rateOpensAt(now), retryAt].filter((time) => time !== undefined);
    if (times.length === 0) return;
    this.#cancelTimer = clock.schedule(Math.max(1, Math.min(...times) - now), () => {
      const silentAt = this.#window.silentAt();
      if (silentAt !== undefined && silentAt <= clock.monotonic()) this.#window.restart('silence');
      this.#wake();
    });
  }

  async #onAck(payload: Uint8Array): Promise<void> {
    const { outbox, device, logger, clock } = this.#options;
    const ack = decodeMessage('ack', payload, device);
    const records = ack.records.filter((record) => this.#isMine(record));
    for (const record of records) {
      if (record.refused === undefined) continue;
      this.#refused += 1;
      logger.warn({ boot: record.boot, seq: record.seq, ...record.refused }, 'the hub refused a record; the record is dropped');
    }
    const stored = records.filter((record) => record.refused === undefined);
    for (const listener of this.#onStored) listener(stored);
    await outbox.acknowledge(records);
    this.#window.acknowledged(
      records.map((record) => record.seq),
      clock.monotonic(),
    );
    this.#wake();
  }

  /** A copy of this device has the same name and numbers: what it is acknowledged says nothing about what lies here. */
  #isMine({ boot, bootId }: Position): boolean {
    return !this.#bootIds.has(boot) || this.#bootIds.get(boot) === bootId;
  }
}
