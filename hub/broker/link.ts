import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { type BackoffOptions, fullJitter } from '#shared/kernel/backoff.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import { seconds } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';

/** State of the hub's connection to its broker. */
type BrokerStatus =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly attempt: number }
  /** Subscriptions stand; retained state is being or was published again. `connection` counts the connections of this process. */
  | { readonly kind: 'online'; readonly since: EpochMillis; readonly connection: number }
  | { readonly kind: 'offline'; readonly since: EpochMillis; readonly reason: string; readonly nextAttemptAt: EpochMillis }
  | { readonly kind: 'closed' };

/** `payload` is only lent for the call when the handler is synchronous; copy what is kept. */
export type MessageHandler = (topic: string, payload: Uint8Array, retained: boolean) => void;

/** What the rest of the hub needs of the broker; `BrokerLink` is it, tests may bring another. */
export interface BrokerPort {
  readonly status: BrokerStatus;
  /** Resolves when the broker has taken the message (QoS 1); rejects with `BROKER_OFFLINE`. */
  publish(topic: string, payload: Uint8Array, options?: { readonly retain?: boolean }): Promise<void>;
  /** Calls `handler` for every message that matches; stands over reconnects. */
  subscribe(filter: string, handler: MessageHandler): void;
  /** Called on every (re)connect once the subscriptions stand: publish the retained state you own again. */
  onOnline(publishAgain: () => Promise<void>): void;
  onStatus(listener: (status: BrokerStatus) => void): () => void;
}

/** How to reach the broker. */
export interface BrokerConnection {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** PEM of the authority that signed the broker's certificate, when it is not a public one. */
  readonly ca?: string | undefined;
}

interface BrokerLinkOptions {
  /** Asked before every attempt: an embedded broker knows its port and password only once it has started. */
  readonly connection: () => BrokerConnection;
  /** Distinguishes hubs on one broker. */
  readonly clientId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly backoff?: { readonly base: Millis; readonly max: Millis };
}

/**
 * The hub as an MQTT client, of the embedded broker or of any MQTT 3.1.1 one. Every connection starts clean: the
 * subscriptions are made again, then everything retained is published again, because an embedded broker forgets on
 * restart and an external one may.
 */
export class BrokerLink implements BrokerPort, Service {
  readonly #options: BrokerLinkOptions;
  readonly #backoff: BackoffOptions;
  readonly #handlers: { readonly match: (topic: string) => boolean; readonly filter: string; readonly handler: MessageHandler }[] = [];
  readonly #publishers: (() => Promise<void>)[] = [];
  readonly #listeners = new Set<(status: BrokerStatus) => void>();
  #status: BrokerStatus = { kind: 'idle' };
  #client: MqttClient | undefined;
  #connection = 0;
  #attempt = 0;
  #cancelRetry: () => void = () => undefined;
  #starting: Promise<void> | undefined;

  constructor(options: BrokerLinkOptions) {
    this.#options = options;
    this.#backoff = { ...(options.backoff ?? { base: 500, max: seconds(30) }), random: options.random };
  }

  get status(): BrokerStatus {
    return this.#status;
  }

  onStatus(listener: (status: BrokerStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onOnline(publishAgain: () => Promise<void>): void {
    this.#publishers.push(publishAgain);
  }

  subscribe(filter: string, handler: MessageHandler): void {
    this.#handlers.push({ filter, match: topicMatcher(filter), handler });
    if (this.#status.kind === 'online') this.#client?.subscribe(filter, { qos: 1 }, (error) => this.#onSubscribed(error));
  }

  /** Resolves with the outcome of the first attempt: online, or offline and retrying; a broker that is down does not keep the hub down. */
  start(): Promise<void> {
    this.#starting ??= new Promise((resolve) => {
      const off = this.onStatus((status) => {
        if (status.kind === 'connecting') return;
        off();
        resolve();
      });
      this.#connect();
    });
    return this.#starting;
  }

  async close(): Promise<void> {
    if (this.#status.kind === 'closed') return;
    this.#cancelRetry();
    this.#become({ kind: 'closed' });
    const client = this.#client;
    this.#client = undefined;
    await client?.endAsync(true).catch(() => undefined);
  }

  publish(topic: string, payload: Uint8Array, options: { readonly retain?: boolean } = {}): Promise<void> {
    const client = this.#client;
    if (client === undefined || this.#status.kind !== 'online') {
      return Promise.reject(new SkerryError('BROKER_OFFLINE', `cannot publish, the broker link is ${this.#status.kind}`));
    }
    return new Promise((resolve, reject) => {
      const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
      client.publish(topic, bytes, { qos: 1, retain: options.retain ?? false }, (error) => {
        if (error === undefined || error === null) resolve();
        else reject(new SkerryError('BROKER_OFFLINE', 'the connection was lost before the broker accepted the message', { cause: error }));
      });
    });
  }

  #connect(): void {
    this.#become({ kind: 'connecting', attempt: this.#attempt });
    const { clientId } = this.#options;
    const { url, username, password, ca } = this.#options.connection();
    const settings: IClientOptions = {
      clientId,
      clean: true,
      protocolVersion: 4,
      keepalive: 30,
      connectTimeout: seconds(10),
      // Retries are ours: the library knows no jitter.
      reconnectPeriod: 0,
      resubscribe: false,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(ca === undefined ? {} : { ca }),
    };
    const client = connect(url, settings);
    this.#client = client;
    let reason = 'connection closed';
    client.on('error', (error) => {
      reason = error.message === '' ? reason : error.message;
    });
    client.on('message', (topic, payload, packet) => this.#dispatch(topic, payload, packet.retain));
    client.on('connect', () => void this.#onConnected(client).catch((cause: unknown) => this.#fail(client, asSkerryError(cause).message)));
    client.on('close', () => this.#fail(client, reason));
  }

  async #onConnected(client: MqttClient): Promise<void> {
    const filters = [...new Set(this.#handlers.map((entry) => entry.filter))];
    if (filters.length > 0) {
      const granted = await client.subscribeAsync(filters, { qos: 1 });
      const refused = granted.find((grant) => grant.qos === 128);
      if (refused !== undefined) throw new SkerryError('BROKER_OFFLINE', `the broker refused the subscription ${refused.topic}`);
    }
    if (this.#client !== client) return;
    this.#attempt = 0;
    this.#connection += 1;
    this.#become({ kind: 'online', since: this.#options.clock.now(), connection: this.#connection });
    for (const publishAgain of this.#publishers) {
      await publishAgain().catch((cause: unknown) => {
        this.#options.logger.warn({ cause: asSkerryError(cause).message }, 'retained state could not be republished');
      });
    }
  }

  #onSubscribed(error: Error | null): void {
    if (error !== null) this.#options.logger.warn({ cause: error.message }, 'subscription failed; retrying on reconnect');
  }

  #dispatch(topic: string, payload: Uint8Array, retained: boolean): void {
    for (const entry of this.#handlers) {
      if (!entry.match(topic)) continue;
      try {
        entry.handler(topic, payload, retained);
      } catch (cause) {
        this.#options.logger.error({ topic, cause: asSkerryError(cause).message }, 'message handler failed');
      }
    }
  }

  /** Ends one connection and plans the next; later calls for the same client find it replaced and do nothing. */
  #fail(client: MqttClient, reason: string): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    client.end(true);
    const delay = fullJitter(this.#attempt, this.#backoff);
    this.#attempt += 1;
    const now = this.#options.clock.now();
    this.#cancelRetry = this.#options.clock.schedule(delay, () => this.#connect());
    this.#become({ kind: 'offline', since: now, reason, nextAttemptAt: now + delay });
  }

  #become(status: BrokerStatus): void {
    this.#status = status;
    if (status.kind === 'offline') this.#options.logger.warn({ reason: status.reason }, 'broker link lost');
    if (status.kind === 'online') this.#options.logger.info({ connection: status.connection }, 'broker link online');
    for (const listener of this.#listeners) listener(status);
  }
}

/** Matches topics against one filter (MQTT 3.1.1, 4.7): `+` is one level, a closing `#` the level itself and all below. */
export function topicMatcher(filter: string): (topic: string) => boolean {
  if (!/[+#]/.test(filter)) return (topic) => topic === filter;
  const levels = filter
    .split('/')
    .map((level) => (level === '+' ? '[^/]*' : level === '#' ? '#' : level.replaceAll(/[.*?^${}()|[\]\\]/g, '\\$&')));
  const source = levels.join('/').replace(/\/#$/, '(?:/.*)?').replace(/^#$/, '.*');
  const expression = new RegExp(`^${source}$`, 's');
  return (topic) => expression.test(topic);
}
