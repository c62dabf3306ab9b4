import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Clock, seconds } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type Authenticator, authorize } from './authenticator.js';
import { toApiError } from './error-body.js';
import type { LiveBus, LiveEvent } from './live.js';
import { LIVE_PATH, LIVE_PROTOCOL, LIVE_TOKEN_PROTOCOL } from './live-path.js';
import { refuseUpgrade, upgradeTarget } from './upgrade.js';

const MAX_CLIENTS = 1_000;
/** A client that lets this much pile up is cut off: it must not cost the others memory (DESIGN R4). */
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024;
const PING_EVERY = seconds(30);

export interface LiveFeedOptions {
  readonly bus: LiveBus;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The live feed over WebSocket: every event of the bus as one JSON text message, `?kinds=a,b` for some of them. Nothing is
 * replayed: who connects asks the REST routes for the state first.
 */
export class LiveFeed implements Service {
  readonly #options: LiveFeedOptions;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: 1024,
    handleProtocols: (offered) => (offered.has(LIVE_PROTOCOL) ? LIVE_PROTOCOL : false),
  });
  readonly #alive = new WeakSet<WebSocket>();
  readonly #filters = new WeakMap<WebSocket, ReadonlySet<string>>();
  #stop: () => void = () => undefined;
  #cancelPing: () => void = () => undefined;
  #closed = false;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#stop = this.#options.bus.subscribe((event) => this.#send(event));
    this.#ping();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop();
    this.#cancelPing();
    for (const socket of this.#sockets.clients) socket.close(1001, 'the hub is closing');
    for (const socket of this.#sockets.clients) socket.terminate();
    await new Promise<void>((resolve) => this.#sockets.close(() => resolve()));
  }

  get clients(): number {
    return this.#sockets.clients.size;
  }

  /** Serves `LIVE_PATH` of this server. */
  attachTo(server: Server): void {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const { path, query } = upgradeTarget(request);
      if (path !== LIVE_PATH) return;
      this.#admit(request).then(
        () => this.#sockets.handleUpgrade(request, socket, head, (client) => this.#welcome(client, query.get('kinds'))),
        (cause: unknown) => refuse(socket, toApiError(cause)),
      );
    });
  }

  async #admit(request: IncomingMessage): Promise<void> {
    if (this.#closed) throw new SkerryError('CLOSED', 'the hub is closing');
    const caller = await this.#options.authenticator.authenticate({
      authorization: request.headers.authorization ?? bearerOfProtocol(request.headers['sec-websocket-protocol']),
      source: request.socket.remoteAddress ?? '',
    });
    authorize(caller, 'event:read');
    if (this.clients >= MAX_CLIENTS) throw new SkerryError('CLOSED', `the live feed has its ${MAX_CLIENTS} listeners`);
  }

  #welcome(client: WebSocket, kinds: string | null): void {
    const wanted = kinds === null ? undefined : new Set(kinds.split(',').slice(0, 32));
    if (wanted !== undefined) this.#filters.set(client, wanted);
    this.#alive.add(client);
    client.on('pong', () => this.#alive.add(client));
    client.on('error', () => client.terminate());
  }

  #send(event: LiveEvent): void {
    if (this.clients === 0) return;
    const text = JSON.stringify(event);
    for (const client of this.#sockets.clients) {
      if (this.#filters.get(client)?.has(event.kind) === false) continue;
      if (client.bufferedAmount > MAX_BACKLOG_BYTES) {
        this.#options.logger.warn({ backlog: client.bufferedAmount }, 'a listener of the live feed is too slow and was cut off');
        client.terminate();
        continue;
      }
      client.send(text);
    }
  }

  /** Finds out connections that died without a word. */
  #ping(): void {
    this.#cancelPing = this.#options.clock.schedule(PING_EVERY, () => {
      for (const client of this.#sockets.clients) {
        if (!this.#alive.delete(client)) client.terminate();
        else client.ping();
      }
      this.#ping();
    });
  }
}

function bearerOfProtocol(header: string | undefined): string | undefined {
  const offered = header?.split(',').map((name) => name.trim()) ?? [];
  const token = offered.find((name) => name.startsWith(LIVE_TOKEN_PROTOCOL))?.slice(LIVE_TOKEN_PROTOCOL.length);
  return token === undefined ? undefined : `Bearer ${token}`;
}

function refuse(socket: Duplex, error: SkerryError): void {
  refuseUpgrade(socket, `${error.entry.http} ${error.code}`, { type: 'application/json', text: JSON.stringify(error.toBody()) });
}
