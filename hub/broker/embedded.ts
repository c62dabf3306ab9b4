import { MQTT_PATH } from '#shared/protocol/mqtt-path.js';
import { randomBytes } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { Aedes } from 'aedes';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { type Millis, seconds } from '#shared/kernel/time.js';
import { refuseUpgrade, upgradeTarget } from '#hub/kernel/upgrade.js';
import { Connections, TLS_HANDSHAKE } from '#hub/kernel/connections.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Logger } from '#shared/kernel/logger.js';
import { brokerGate } from './broker-gate.js';
import type { DeviceCredentials, FetchPolicy } from './credentials.js';
import { FrameGuard, type FrameLimits } from './frame-guard.js';
import { Subscriptions } from './subscriptions.js';

/** Path of the WebSocket listener on the hub's HTTP server. */
/** User name of the hub itself; the dot keeps it out of the device ids. */
export const HUB_USER = 'skerry.hub';

const TOPIC_ALLOWANCE = 4 * 1024;
const DEVICE_FRAMES: FrameLimits = { connectBytes: 16 * 1024, packetBytes: LIMITS.fetchBytes + TOPIC_ALLOWANCE };
const HUB_FRAMES: FrameLimits = { connectBytes: 16 * 1024, packetBytes: LIMITS.trustFileBytes + TOPIC_ALLOWANCE };

interface EmbeddedBrokerOptions {
  readonly fleet: string;
  /** Where devices connect over TCP; port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number; readonly tls?: { readonly cert: string; readonly key: string } };
  readonly credentials: DeviceCredentials;
  readonly fetchPolicy: FetchPolicy;
  readonly logger: Logger;
  /** Connections held at once, over TCP and WebSocket together (default 20,000). */
  readonly maxConnections?: number;
  /** Longest keepalive a device may ask for, seconds (default 300): bounds how long a vanished device counts as online. */
  readonly maxKeepaliveSeconds?: number;
  /** How long a subscriber may leave its socket full before it is cut off (default 10 s): one must not slow the others. */
  readonly drainTimeout?: Millis;
}

/**
 * The broker inside the hub: aedes over TCP or TLS and, on the hub's HTTP server, WebSocket. Devices meet the public
 * listeners only; the hub connects to a loopback listener of its own with a password made at every start. Nothing is kept
 * on disk: after a restart the hub publishes all retained state again (hub/broker/link.ts), and devices report theirs.
 */
export class EmbeddedBroker implements Service {
  readonly #options: EmbeddedBrokerOptions;
  readonly #hubPassword = randomBytes(32).toString('base64url');
  readonly #hubStreams = new WeakSet<Duplex>();
  readonly #streams = new Set<Duplex>();
  readonly #webSockets = new WebSocketServer({ noServer: true, maxPayload: DEVICE_FRAMES.packetBytes, clientTracking: false });
  readonly #aedes: Aedes;
  readonly #public: Server;
  readonly #connections: Connections;
  readonly #internal: Server;
  #closing: Promise<void> | undefined;
  #starting: Promise<void> | undefined;

  constructor(options: EmbeddedBrokerOptions) {
    this.#options = options;
    const subscriptions = new Subscriptions();
    this.#aedes = new Aedes({
      // mqemitter's window over all topics; a stalled subscriber holds some of it until drainTimeout.
      concurrency: 1_000,
      connectTimeout: seconds(10),
      drainTimeout: options.drainTimeout ?? seconds(10),
      keepaliveLimit: options.maxKeepaliveSeconds ?? 300,
      maxTopicLevels: 8,
      maxInflightInbound: 64,
      queueLimit: 64,
      ...brokerGate({
        fleet: options.fleet,
        credentials: options.credentials,
        fetchPolicy: options.fetchPolicy,
        hubPassword: this.#hubPassword,
        isHubStream: (stream) => this.#hubStreams.has(stream),
        subscriptions,
        logger: options.logger,
      }),
    });
    const events: EventEmitter = this.#aedes;
    events.on('error', (error: Error) => options.logger.error({ cause: error.message }, 'broker failure'));
    this.#aedes.on('unsubscribe', (filters, client) => subscriptions.remove(client, filters));
    this.#aedes.on('clientError', (client, error) =>
      options.logger.debug({ client: client.id, error: error.message }, 'mqtt client error'),
    );
    this.#aedes.on('connectionError', (_client, error) => options.logger.debug({ error: error.message }, 'mqtt connection error'));
    const onDevice = (socket: Socket): void => this.#accept(socket, DEVICE_FRAMES);
    const { tls } = options.listen;
    this.#public =
      tls === undefined
        ? createServer({ noDelay: true }, onDevice)
        : createTlsServer({ ...tls, minVersion: 'TLSv1.2', handshakeTimeout: TLS_HANDSHAKE }, onDevice);
    this.#connections = new Connections(this.#public, this.#most);
    this.#internal = createServer((socket) => {
      this.#hubStreams.add(socket);
      this.#accept(socket, HUB_FRAMES);
    });
  }

  start(): Promise<void> {
    this.#starting ??= (async () => {
      await this.#aedes.listen();
      await listen(this.#internal, { host: '127.0.0.1', port: 0 });
      await listen(this.#public, this.#options.listen);
    })();
    return this.#starting;
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#starting?.catch(() => undefined);
      await new Promise<void>((resolve) => this.#aedes.close(resolve));
      for (const stream of this.#streams) stream.destroy();
      this.#connections.endAll();
      this.#webSockets.close();
      await Promise.all([closeServer(this.#public), closeServer(this.#internal)]);
    })();
    return this.#closing;
  }

  /** TCP port devices connect to. */
  get port(): number {
    return portOf(this.#public);
  }

  /** How the hub itself connects. */
  get hubConnection(): { readonly url: string; readonly username: string; readonly password: string } {
    return { url: `mqtt://127.0.0.1:${portOf(this.#internal)}`, username: HUB_USER, password: this.#hubPassword };
  }

  /** Connections held now. */
  get connections(): number {
    return this.#streams.size;
  }

  /** Serves MQTT over WebSocket at `MQTT_PATH` of an HTTP server; upgrades to other paths are left to others. */
  attachTo(server: HttpServer): void {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (upgradeTarget(request).path !== MQTT_PATH) return;
      if (this.#closing !== undefined || this.#full) {
        refuseUpgrade(socket, '503 Service Unavailable');
        return;
      }
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on('error', () => webSocket.terminate());
        this.#accept(createWebSocketStream(webSocket), DEVICE_FRAMES, request);
      });
    });
  }

  /** Cuts the connections of a device whose credentials were withdrawn. */
  disconnect(device: string): void {
    for (const stream of this.#streams) {
      if ('client' in stream && isNamed(stream.client) && stream.client.id === device) stream.destroy();
    }
  }

  get #full(): boolean {
    return this.#streams.size >= this.#most;
  }

  get #most(): number {
    return this.#options.maxConnections ?? 20_000;
  }

  #accept(stream: Duplex, limits: FrameLimits, request?: IncomingMessage): void {
    // The hub's own connection is never turned away: without it nobody is served.
    if (this.#closing !== undefined || (this.#full && !this.#hubStreams.has(stream))) {
      stream.destroy();
      return;
    }
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    stream.on('error', () => stream.destroy());
    this.#aedes.handle(stream, request);
    const guard = new FrameGuard(limits);
    // aedes reads by 'readable'; each read() also emits 'data', so the guard sees the bytes without taking them.
    stream.on('data', (chunk: Uint8Array) => {
      const verdict = guard.feed(chunk);
      if (verdict === 'ok') return;
      this.#options.logger.warn({ verdict }, 'mqtt packet refused');
      stream.destroy();
    });
  }
}

function isNamed(value: unknown): value is { readonly id: unknown } {
  return typeof value === 'object' && value !== null && 'id' in value;
}

function listen(server: Server, at: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error): void => {
      reject(
        new SkerryError('BROKER_LISTEN_FAILED', `the broker cannot listen on ${at.host}:${at.port}: ${asSkerryError(cause).message}`, {
          cause,
        }),
      );
    };
    server.once('error', onError);
    server.listen(at.port, at.host, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    if (!server.listening) resolve();
    else server.close(() => resolve());
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new SkerryError('CLOSED', 'the broker does not listen');
  return address.port;
}
