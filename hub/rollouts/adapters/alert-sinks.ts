import { createHmac, randomUUID } from 'node:crypto';
import { fullJitter } from '#shared/kernel/backoff.js';
import { type Clock, sleep, timeoutSignal } from '#shared/kernel/clock.js';
import { type EpochMillis, type Millis, seconds } from '#shared/kernel/time.js';
import { asSkerryError, hasCode } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { AlertSink, RolloutAlert } from '../ports.js';

/** Alerts in the log. */
export class LogAlerts implements AlertSink {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  notify(alert: RolloutAlert): void {
    this.#logger.warn({ ...alert }, 'rollout alert');
  }
}

interface WebhookOptions {
  readonly url: string;
  /** Shared with the receiver. */
  readonly secret: Uint8Array;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly timeout?: Millis;
}

/** What a webhook is told. */
export interface WebhookMessage {
  /** `rollout.paused`, `trust.expires`, ... */
  readonly type: string;
  readonly at: EpochMillis;
  readonly data: object;
}

/** Alerts waiting for a receiver that is away; beyond it the oldest are dropped (R4). */
const QUEUE = 100;
const ATTEMPTS = 6;
const BACKOFF = { base: seconds(1), max: seconds(60) };

/**
 * Alerts as signed POST requests, by the Standard Webhooks specification 1.0: the receiver checks `webhook-signature`
 * ("v1," and the base64 HMAC-SHA256 of "id.timestamp.body") and refuses old timestamps. One at a time, in order, tried
 * again with growing waits.
 */
export class WebhookAlerts implements AlertSink, Service {
  readonly #options: WebhookOptions;
  readonly #stop = new AbortController();
  #queue: WebhookMessage[] = [];
  #sending: Promise<void> | undefined;

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#sending;
  }

  notify(alert: RolloutAlert): void {
    this.send({ type: `rollout.${alert.kind}`, at: alert.at, data: alert });
  }

  /** Queues a message; does not wait and does not throw. */
  send(message: WebhookMessage): void {
    if (this.#stop.signal.aborted) return;
    if (this.#queue.length >= QUEUE) {
      this.#queue.shift();
      this.#options.logger.warn({ url: this.#options.url }, 'an alert was dropped: the webhook refuses alerts');
    }
    this.#queue.push(message);
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = undefined;
    });
  }

  async #drain(): Promise<void> {
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift()) {
      if (this.#stop.signal.aborted) return;
      await this.#deliver(message);
    }
  }

  async #deliver(message: WebhookMessage): Promise<void> {
    const { clock, random, logger, url } = this.#options;
    const id = `msg_${randomUUID()}`;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const failure = await this.#post(id, message);
      if (failure === undefined) return;
      logger.warn({ url, attempt, cause: failure }, 'the webhook refused an alert');
      try {
        await sleep(clock, fullJitter(attempt, { ...BACKOFF, random }), this.#stop.signal);
      } catch (thrown) {
        if (hasCode(thrown, 'ABORTED')) return;
        throw thrown;
      }
    }
    logger.error({ url, type: message.type, data: message.data }, 'an alert could not be delivered');
  }

  /** Why it was not taken; `undefined` when it was. */
  async #post(id: string, { type, at, data }: WebhookMessage): Promise<string | undefined> {
    const { url, secret, clock, timeout } = this.#options;
    const timestamp = Math.floor(clock.now() / 1_000);
    const body = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data });
    const headers = {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signature(secret, id, timestamp, body),
    };
    const limit = timeoutSignal(clock, timeout ?? seconds(10));
    try {
      const signal = AbortSignal.any([this.#stop.signal, limit.signal]);
      const answer = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' });
      await answer.body?.cancel();
      return answer.ok ? undefined : `status ${answer.status}`;
    } catch (thrown) {
      return asSkerryError(thrown).message;
    } finally {
      limit.cancel();
    }
  }
}

/** `webhook-signature` of a message. */
export function signature(secret: Uint8Array, id: string, timestamp: number, body: string): string {
  return `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** Tells several sinks. */
export class AllAlerts implements AlertSink {
  readonly #sinks: readonly AlertSink[];

  constructor(sinks: readonly AlertSink[]) {
    this.#sinks = sinks;
  }

  notify(alert: RolloutAlert): void {
    for (const sink of this.#sinks) sink.notify(alert);
  }
}
