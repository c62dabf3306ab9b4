import { type Clock, timeoutSignal } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type Millis, seconds } from '#shared/kernel/time.js';
import { type Attributes, encodeSpans, type Span } from './otlp.js';

/** Spans that wait for their export; beyond it new ones are dropped and counted. */
const QUEUE = 4_096;
const BATCH = 512;
const EVERY: Millis = seconds(5);
const LONGEST_WAIT: Millis = seconds(60);
const TIMEOUT: Millis = seconds(10);
/** What a close may take for the spans that are left. */
const LAST_TIMEOUT: Millis = seconds(2);

/** Answers after which the same request may succeed later (OTLP, "Retryable Response Codes"). */
const RETRYABLE = new Set([429, 502, 503, 504]);

interface ExporterOptions {
  /** Where spans go, complete. */
  readonly url: string;
  /** Sent along, for collectors that ask for a key. */
  readonly headers: Readonly<Record<string, string>>;
  /** What is said of this agent. */
  readonly resource: Attributes;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Sends spans in batches, behind the requests that they are about: a collector that is slow or away costs a bounded number of spans and
 * nothing else.
 */
export class SpanExporter {
  readonly #options: ExporterOptions;
  #queue: Span[] = [];
  #exported = 0;
  #dropped = 0;
  #wait: Millis = EVERY;
  #sending: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(options: ExporterOptions) {
    this.#options = options;
  }

  get counts(): { readonly exported: number; readonly dropped: number } {
    return { exported: this.#exported, dropped: this.#dropped };
  }

  add(span: Span): void {
    if (this.#closed || this.#queue.length >= QUEUE) {
      this.#dropped += 1;
      return;
    }
    this.#queue.push(span);
    // While the collector is away, only time brings the next attempt.
    if (this.#queue.length === BATCH && this.#wait === EVERY) this.#sendNow();
    else this.#sendLater();
  }

  /** Sends what is left, once. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#sending;
    while (this.#queue.length > 0) {
      if (!(await this.#sendBatch(LAST_TIMEOUT))) break;
    }
    this.#dropped += this.#queue.length;
    this.#queue = [];
  }

  #sendLater(): void {
    this.#cancel ??= this.#options.clock.schedule(this.#wait, () => this.#sendNow());
  }

  #sendNow(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#sending !== undefined) return;
    this.#sending = this.#sendOnce();
  }

  async #sendOnce(): Promise<void> {
    const went = await this.#sendBatch(TIMEOUT);
    this.#sending = undefined;
    this.#wait = went ? EVERY : Math.min(LONGEST_WAIT, this.#wait * 2);
    if (this.#closed || this.#queue.length === 0) return;
    if (went && this.#queue.length >= BATCH) this.#sendNow();
    else this.#sendLater();
  }

  /** False when the batch could not be delivered and may be later: then it stays, at the front. Does not reject. */
  async #sendBatch(timeout: Millis): Promise<boolean> {
    const batch = this.#queue.slice(0, BATCH);
    const { url, resource, version, headers, clock, logger } = this.#options;
    const { signal, cancel } = timeoutSignal(clock, timeout);
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: encodeSpans(batch, resource, version),
        signal,
        redirect: 'error',
      });
      await response.body?.cancel();
      if (RETRYABLE.has(response.status)) return this.#failed(`the collector answers ${response.status}`);
      this.#queue.splice(0, batch.length);
      if (response.ok) this.#exported += batch.length;
      else {
        this.#dropped += batch.length;
        logger.warn({ url, status: response.status, spans: batch.length }, 'the collector refuses spans; they are dropped');
      }
      return true;
    } catch (cause) {
      return this.#failed(asSkerryError(cause).message);
    } finally {
      cancel();
    }
  }

  /** Said once while the collector is away. */
  #failed(reason: string): false {
    const { url, logger } = this.#options;
    if (this.#wait === EVERY) logger.warn({ url, reason }, 'spans could not be exported; up to 4096 wait');
    return false;
  }
}
