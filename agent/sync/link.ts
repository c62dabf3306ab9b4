import { randomUUID } from 'node:crypto';
import type { MqttClient } from 'mqtt';
import { type BackoffOptions, fullJitter } from '#shared/kernel/backoff.js';
import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes, seconds } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { Boot } from '#agent/store/contract.js';
import type { BrokerAddress, LinkPort, LinkStatus, MessageHandler, Subscription } from './contract.js';
import { type IncomingMessage, openMqtt } from './mqtt-session.js';
import { SessionSubscriptions, Subscriptions } from './subscriptions.js';

export interface LinkOptions {
  readonly fleet: string;
  readonly device: DeviceId;
  /** This start of the agent. */
  readonly boot: Boot;
  /** What the machine is called. */
  readonly host: string;
  /** Asked before every connection: addresses and credentials may have changed. */
  readonly broker: () => BrokerAddress | Promise<BrokerAddress>;
  /** The address at `url` let the device in. */
  readonly onLetIn?: (url: string) => void;
  readonly keepalive: Millis;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1), for the jitter of reconnects. */
  readonly random: () => number;
  readonly backoff?: { readonly base: Millis; readonly max: Millis };
}

/** How long a copy of another device stays away before it asks again. */
const STAND_DOWN: Millis = minutes(10);
/** A connection that held this long was a good one: the next reconnect begins with short delays again. */
const STABLE_AFTER = seconds(10);

/**
 * The MQTT session of a device: any MQTT 3.1.1 broker, clean sessions, birth and will, reconnects with full jitter.
 * Nothing depends on the broker's memory; on every connect the subscriptions are made again and the birth is published
 * before anybody hears `online`.
 */
export class MqttLink implements LinkPort, Service {
  readonly #options: LinkOptions;
  readonly #backoff: BackoffOptions;
  readonly #subscriptions = new Subscriptions();
  readonly #listeners = new Set<(status: LinkStatus) => void>();
  #status: LinkStatus;
  #client: MqttClient | undefined;
  #session: SessionSubscriptions | undefined;
  #sessionId = '';
  #connection = 0;
  #attempt = 0;
  /** Where the last connection went; it stays with an address that let it in. */
  #url: string | undefined;
  /** The next connection goes to the address after that one. */
  #elsewhere = false;
  #cancelRetry: () => void = () => undefined;
  #closing: Promise<void> | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#backoff = { ...(options.backoff ?? { base: seconds(1), max: seconds(60) }), random: options.random };
    this.#status = { kind: 'offline', since: options.clock.now() };
  }

  get status(): LinkStatus {
    return this.#status;
  }

  onStatus(listener: (status: LinkStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins to connect and returns at once: the device works without its hub (R2). */
  async start(): Promise<void> {
    if (this.#closing === undefined && this.#client === undefined) void this.#connect();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  publish(topic: string, payload: Uint8Array, options: { readonly retain?: boolean } = {}): Promise<void> {
    const client = this.#client;
    if (client === undefined || this.#status.kind !== 'online') {
      return Promise.reject(new SkerryError('SYNC_OFFLINE', `not sent: the link is ${this.#status.kind}`));
    }
    return send(client, topic, payload, options.retain ?? false);
  }

  subscribe(filter: string, handler: MessageHandler): Subscription {
    this.#subscriptions.add(filter, handler);
    const ready = this.#settle();
    return {
      ready,
      close: () => {
        this.#subscriptions.remove(filter, handler);
        void this.#settle();
      },
    };
  }

  /** Ends the session and stays away for a while: another device answers under this name, and each connection throws it off. */
  standDown(why: SkerryError): void {
    const client = this.#client;
    if (client === undefined || this.#closing !== undefined) return;
    this.#options.logger.warn({ code: why.code, reason: why.message }, 'the hub regards this device as a copy of another one');
    this.#lost(client, why.message, STAND_DOWN);
  }

  async #settle(): Promise<void> {
    if (this.#status.kind !== 'online') return;
    await this.#session?.settle().catch((cause: unknown) => {
      this.#options.logger.warn({ reason: asSkerryError(cause).message }, 'a subscription failed; it is retried on reconnect');
    });
  }

  async #connect(): Promise<void> {
    this.#become({ kind: 'connecting' });
    this.#connection += 1;
    this.#sessionId = randomUUID();
    const { device, fleet, keepalive } = this.#options;
    try {
      const { urls, ...credentials } = await this.#options.broker();
      const url = this.#choose(urls);
      const client = await openMqtt({
        broker: { ...credentials, url },
        clientId: device,
        keepalive,
        will: { topic: deviceTopic(fleet, device, 'presence'), payload: this.#presence('offline') },
        onMessage: (message, taken) => void this.#dispatch(message, taken),
      });
      if (this.#closing !== undefined) {
        client.end(true);
        return;
      }
      this.#client = client;
      let reason = 'the connection closed';
      client.on('error', (error) => {
        reason = reasonOf(error) ?? reason;
        this.#lost(client, reason);
      });
      client.on('close', () => this.#lost(client, reason));
      client.on('connect', () => {
        this.#onConnected(client, url).catch((cause: unknown) => this.#lost(client, asSkerryError(cause).message));
      });
    } catch (cause) {
      this.#retry(asSkerryError(cause).message);
    }
  }

  /** The address that let it in last, the one after it when it did not, and the first when it is known no more. */
  #choose(urls: readonly string[]): string {
    const at = this.#url === undefined ? -1 : urls.indexOf(this.#url);
    const url = urls[at === -1 ? 0 : (at + (this.#elsewhere ? 1 : 0)) % urls.length];
    if (url === undefined) throw new SkerryError('CONFIG_INVALID', 'no broker address is known');
    this.#url = url;
    this.#elsewhere = false;
    return url;
  }

  async #onConnected(client: MqttClient, url: string): Promise<void> {
    const session = new SessionSubscriptions(client, this.#subscriptions);
    await session.settle();
    const { fleet, device, clock } = this.#options;
    await send(client, deviceTopic(fleet, device, 'presence'), this.#presence('online'), true);
    // What was wanted while the birth was on its way.
    await session.settle();
    if (this.#client !== client) return;
    this.#session = session;
    this.#options.onLetIn?.(url);
    this.#become({ kind: 'online', since: clock.now(), broker: new URL(url).host });
  }

  async #dispatch({ topic, payload, retained }: IncomingMessage, taken: () => void): Promise<void> {
    for (const handler of this.#subscriptions.matching(topic)) {
      try {
        await handler(topic, payload, retained);
      } catch (cause) {
        this.#options.logger.error({ topic, err: asSkerryError(cause) }, 'a message handler failed');
      }
    }
    taken();
  }

  /** Ends one connection and plans the next; a second call for the same client finds it replaced and does nothing. */
  #lost(client: MqttClient, reason: string, least: Millis = 0): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#session = undefined;
    client.end(true);
    if (this.#closing === undefined) this.#retry(reason, least);
  }

  /** `least`: the wait is at least this long. */
  #retry(reason: string, least: Millis = 0): void {
    const { clock } = this.#options;
    const now = clock.now();
    if (this.#status.kind !== 'online') this.#elsewhere = true;
    const held = this.#status.kind === 'online' ? now - this.#status.since : 0;
    if (held >= STABLE_AFTER) this.#attempt = 0;
    const delay = least + fullJitter(this.#attempt, this.#backoff);
    this.#attempt += 1;
    this.#cancelRetry = clock.schedule(delay, () => void this.#connect());
    this.#become({ kind: 'offline', since: now, reason, nextAttemptAt: now + delay });
  }

  async #close(): Promise<void> {
    this.#cancelRetry();
    const client = this.#client;
    const wasOnline = this.#status.kind === 'online';
    if (client !== undefined && wasOnline) {
      const { fleet, device } = this.#options;
      await Promise.race([
        send(client, deviceTopic(fleet, device, 'presence'), this.#presence('offline'), true).catch(() => undefined),
        new Promise<void>((resolve) => this.#options.clock.schedule(seconds(1), resolve)),
      ]);
    }
    this.#client = undefined;
    this.#become({ kind: 'offline', since: this.#options.clock.now(), reason: 'closed' });
    client?.end(true);
  }

  #presence(state: 'online' | 'offline'): Uint8Array {
    return encodeMessage('presence', {
      device: this.#options.device,
      session: this.#sessionId,
      ...this.#options.boot,
      host: this.#options.host,
      connection: this.#connection,
      state,
      at: new Date(this.#options.clock.now()).toISOString(),
    });
  }

  #become(status: LinkStatus): void {
    this.#status = status;
    const { logger } = this.#options;
    if (status.kind === 'online') logger.info({ broker: status.broker, connection: this.#connection }, 'online');
    if (status.kind === 'offline') logger.info({ reason: status.reason, nextAttemptAt: status.nextAttemptAt }, 'offline');
    for (const listener of this.#listeners) listener(status);
  }
}

/** CONNACK return code "not authorized" (MQTT 3.1.1, 3.2.2.3). */
const NOT_AUTHORIZED = 5;

function reasonOf(error: Error): string | undefined {
  if ('code' in error && error.code === NOT_AUTHORIZED)
    return 'not authorized: its credentials were withdrawn, or another device answers under its name';
  return error.message === '' ? undefined : error.message;
}

function send(client: MqttClient, topic: string, payload: Uint8Array, retain: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    client.publish(topic, bytes, { qos: 1, retain }, (error) => {
      if (error === undefined || error === null) resolve();
      else reject(new SkerryError('SYNC_OFFLINE', 'the connection was lost before the broker accepted the message', { cause: error }));
    });
  });
}
