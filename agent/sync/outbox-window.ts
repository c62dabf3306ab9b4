import type { Millis } from '#shared/kernel/time.js';

export interface WindowSettings {
  /** Records on the way at once. */
  readonly size: number;
  /** Records sent in one second at most. */
  readonly perSecond: number;
  /** How long the hub may take to acknowledge the oldest record on the way before everything unacknowledged is sent again; doubles with every silence. */
  readonly ackTimeout: { readonly base: Millis; readonly max: Millis };
}

export const DEFAULT_WINDOW: WindowSettings = { size: 32, perSecond: 200, ackTimeout: { base: 10_000, max: 300_000 } };

/**
 * Which outbox records are on their way to the hub. Pure bookkeeping: told what happened and when (monotonic
 * milliseconds), it says how many may go now and when to look again.
 * INVARIANTS: a record is on the way from `sent` to `acknowledged` or `restart`; `cursor` is the highest sequence number
 * sent since the last restart, so nothing is sent twice in between and nothing unacknowledged is skipped after one.
 */
export class OutboxWindow {
  readonly #settings: WindowSettings;
  readonly #onTheWay = new Set<number>();
  #cursor = 0;
  #lastProgress: Millis = 0;
  #silences = 0;
  #second: Millis = Number.NEGATIVE_INFINITY;
  #sentInSecond = 0;

  constructor(settings: WindowSettings) {
    this.#settings = settings;
  }

  /** Ask the outbox for records after this one. */
  get cursor(): number {
    return this.#cursor;
  }

  get onTheWay(): number {
    return this.#onTheWay.size;
  }

  /** How many records may be sent at `now`. */
  room(now: Millis): number {
    const left = now - this.#second >= 1_000 ? this.#settings.perSecond : this.#settings.perSecond - this.#sentInSecond;
    return Math.max(0, Math.min(this.#settings.size - this.#onTheWay.size, left));
  }

  sent(seq: number, now: Millis): void {
    if (now - this.#second >= 1_000) {
      this.#second = now;
      this.#sentInSecond = 0;
    }
    this.#sentInSecond += 1;
    if (this.#onTheWay.size === 0) this.#lastProgress = now;
    this.#onTheWay.add(seq);
    this.#cursor = Math.max(this.#cursor, seq);
  }

  acknowledged(seqs: readonly number[], now: Millis): void {
    const oldest = this.#oldest();
    for (const seq of seqs) this.#onTheWay.delete(seq);
    // Only the oldest counts: one that got lost must not wait for ever because those after it keep arriving.
    if (oldest === undefined || this.#onTheWay.has(oldest)) return;
    this.#lastProgress = now;
    this.#silences = 0;
  }

  /** Begins again with everything unacknowledged: after a reconnect, or a silence of the hub. */
  restart(reason: 'reconnect' | 'silence'): void {
    this.#onTheWay.clear();
    this.#cursor = 0;
    this.#silences = reason === 'silence' ? this.#silences + 1 : 0;
  }

  /** When the hub has been silent for too long; `undefined` while nothing is on the way. */
  silentAt(): Millis | undefined {
    if (this.#onTheWay.size === 0) return undefined;
    const { base, max } = this.#settings.ackTimeout;
    return this.#lastProgress + Math.min(max, base * 2 ** Math.min(this.#silences, 16));
  }

  /** Records are sent in the order of their numbers, and a Set keeps that. */
  #oldest(): number | undefined {
    for (const seq of this.#onTheWay) return seq;
    return undefined;
  }

  /** When the rate allows the next record, if it is the rate that holds it back. */
  rateOpensAt(now: Millis): Millis | undefined {
    const exhausted = now - this.#second < 1_000 && this.#sentInSecond >= this.#settings.perSecond;
    return exhausted && this.#onTheWay.size < this.#settings.size ? this.#second + 1_000 : undefined;
  }
}
