import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '#shared/kernel/clock.js';
import { seconds } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type Authenticator, authorize } from './authenticator.js';
import { clientAddress, type TrustedProxies } from './client-address.js';
import { toApiError } from './error-body.js';
import type { LiveBus, LiveEvent } from '#hub/kernel/live-bus.js';
import { LIVE_PATH, LIVE_PROTOCOL, LIVE_TOKEN_PROTOCOL, LIVE_UNAUTHENTICATED } from './live-path.js';
import type { TokenCaller } from './route.js';
import type { ApiTokens } from './tokens.js';
import { refuseUpgrade, upgradeTarget } from '#hub/kernel/upgrade.js';

const MAX_CLIENTS = 1_000;
/** A client that lets this much pile up is cut off: it must not cost the others memory (R4). */
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024;
const PING_EVERY = seconds(30);

interface LiveFeedOptions {
  readonly bus: LiveBus;
  readonly authenticator: Authenticator;
  readonly tokens: Pick<ApiTokens, 'onRevoked' | 'stillValid'>;
  readonly trustedProxies: TrustedProxies;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who listens, to what. */
interface Listener {
  readonly caller: TokenCaller;
  /** Kinds of events to send; undefined for all. */
  readonly kinds: ReadonlySet<string> | undefined;
  /** Answered the last ping. */
  alive: boolean;
  readonly cancelExpiry: () => void;
}

/**
 * The live feed over WebSocket: every event of the bus as one JSON text message, `?kinds=a,b` for some of them. Nothing is
 * replayed: who connects asks the REST routes for the state first. A listener is cut off when its token is revoked or expires.
 */
export class LiveFeed implements Service {
  readonly #options: LiveFeedOptions;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: 1024,
    handleProtocols: (offered) => (offered.has(LIVE_PROTOCOL) ? LIVE_PROTOCOL : false),
  });
  readonly #listeners = new Map<WebSocket, Listener>();
  #stop: () => void = () => undefined;
  #cancelPing: () => void = () => undefined;
  #closed = false;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    options.tokens.onRevoked((id) => this.#endWhere((listener) => listener.caller.id === id));
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
        (caller) => this.#sockets.handleUpgrade(request, socket, head, (client) => this.#welcome(client, caller, query.get('kinds'))),
        (cause: unknown) => refuse(socket, toApiError(cause)),
      );
    });
  }

  async #admit(request: IncomingMessage): Promise<TokenCaller> {
    const { authenticator, trustedProxies } = this.#options;
    if (this.#closed) throw new SkerryError('CLOSED', 'the hub is closing');
    const caller = await authenticator.authenticate({
      authorization: request.headers.authorization ?? bearerOfProtocol(request.headers['sec-websocket-protocol']),
      source: clientAddress(request, trustedProxies),
    });
    authorize(caller, 'event:read');
    if (this.clients >= MAX_CLIENTS) throw new SkerryError('CLOSED', `the live feed has its ${MAX_CLIENTS} listeners`);
    return caller;
  }

  #welcome(client: WebSocket, caller: TokenCaller, kinds: string | null): void {
    const { clock } = this.#options;
    const listener: Listener = {
      caller,
      kinds: kinds === null ? undefined : new Set(kinds.split(',').slice(0, 32)),
      alive: true,
      cancelExpiry:
        caller.expiresAt === null ? () => undefined : clock.schedule(Math.max(0, caller.expiresAt - clock.now()), () => end(client)),
    };
    this.#listeners.set(client, listener);
    client.on('pong', () => (listener.alive = true));
    client.on('error', () => client.terminate());
    client.on('close', () => {
      listener.cancelExpiry();
      this.#listeners.delete(client);
    });
    // The token may have been revoked while the connection was being made.
    this.#checkTokens();
  }

  #endWhere(chosen: (listener: Listener) => boolean): void {
    for (const [client, listener] of this.#listeners) if (chosen(listener)) end(client);
  }

  /** Cuts off listeners whose token no longer works, whoever ended it; when the tokens cannot be read, everybody. */
  #checkTokens(): void {
    const { tokens, logger } = this.#options;
    const ids = [...new Set([...this.#listeners.values()].map(({ caller }) => caller.id))];
    tokens.stillValid(ids).then(
      (valid) => this.#endWhere(({ caller }) => ids.includes(caller.id) && !valid.has(caller.id)),
      (cause: unknown) => {
        logger.error(
          { cause: asSkerryError(cause).message },
          'the tokens of the live feed could not be checked; its listeners are disconnected',
        );
        this.#endWhere(() => true);
      },
    );
  }

  #send(event: LiveEvent): void {
    if (this.clients === 0) return;
    const text = JSON.stringify(event);
    for (const client of this.#sockets.clients) {
      const listener = this.#listeners.get(client);
      if (listener === undefined || listener.kinds?.has(event.kind) === false) continue;
      if (client.bufferedAmount > MAX_BACKLOG_BYTES) {
        this.#options.logger.warn({ backlog: client.bufferedAmount }, 'a listener of the live feed is too slow and was disconnected');
        client.terminate();
        continue;
      }
      client.send(text);
    }
  }

  /** Finds connections that died without a word, and tokens that ended without this process being told. */
  #ping(): void {
    this.#cancelPing = this.#options.clock.schedule(PING_EVERY, () => {
      for (const [client, listener] of this.#listeners) {
        if (listener.alive) client.ping();
        else client.terminate();
        listener.alive = false;
      }
      this.#checkTokens();
      this.#ping();
    });
  }
}

/** Ends the connection of a listener whose token no longer works; nothing more is sent on it. */
function end(client: WebSocket): void {
  client.close(LIVE_UNAUTHENTICATED, 'the token was revoked or has expired');
}

function bearerOfProtocol(header: string | undefined): string | undefined {
  const offered = header?.split(',').map((name) => name.trim()) ?? [];
  const token = offered.find((name) => name.startsWith(LIVE_TOKEN_PROTOCOL))?.slice(LIVE_TOKEN_PROTOCOL.length);
  return token === undefined ? undefined : `Bearer ${token}`;
}

function refuse(socket: Duplex, error: SkerryError): void {
  refuseUpgrade(socket, `${error.http} ${error.code}`, { type: 'application/json', text: JSON.stringify(error.toBody()) });
}
