import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DataPlane } from '#agent/inference/contract.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { FeedbackSink } from './feedback-routes.js';
import { DEFAULT_SERVE_SETTINGS, type ServeConfig, type ServeSettings } from './config.js';
import { listenTcp, listenUnix } from './listener.js';
import { type Answer, jsonAnswer } from './oip-response.js';
import { matchRoute, type Route } from './router.js';
import type { Handler } from './exchange.js';
import { localRoutes } from './routes.js';

export interface InferenceServerOptions {
  readonly dataPlane: DataPlane;
  readonly feedback: FeedbackSink;
  readonly metricsText: () => string | Promise<string>;
  readonly status: () => unknown;
  readonly config: ServeConfig;
  readonly agentVersion: string;
  readonly logger: Logger;
}

/** Where the server listens, once started. */
export interface ServeAddress {
  readonly tcp: { readonly host: string; readonly port: number } | undefined;
  readonly unix: string | undefined;
}

export interface InferenceServer extends Service {
  readonly address: ServeAddress;
}

/** The local API over HTTP on TCP and a Unix socket. It translates to the data plane and does nothing else. */
export function createInferenceServer(options: InferenceServerOptions): InferenceServer {
  return new LocalServer(options);
}

class LocalServer implements InferenceServer {
  readonly #options: InferenceServerOptions;
  readonly #settings: ServeSettings;
  readonly #routes: readonly Route<Handler>[];
  readonly #servers: Server[] = [];
  #address: ServeAddress = { tcp: undefined, unix: undefined };
  #closing: Promise<void> | undefined;

  constructor(options: InferenceServerOptions) {
    const { dataPlane, feedback, metricsText, status, agentVersion, config } = options;
    this.#options = options;
    this.#settings = { ...DEFAULT_SERVE_SETTINGS, ...config };
    this.#routes = localRoutes({ dataPlane, feedback, metricsText, status, agentVersion, bodyLimit: this.#settings.bodyLimit });
  }

  get address(): ServeAddress {
    return this.#address;
  }

  async start(): Promise<void> {
    const { tcp, unix } = this.#options.config;
    try {
      if (tcp !== undefined) {
        const port = await listenTcp(this.#newServer(), tcp.host, tcp.port);
        this.#address = { ...this.#address, tcp: { host: tcp.host, port } };
      }
      if (unix !== undefined) {
        await listenUnix(this.#newServer(), unix.path);
        this.#address = { ...this.#address, unix: unix.path };
      }
    } catch (cause) {
      await this.close();
      throw cause;
    }
    this.#options.logger.info({ ...this.#address }, 'local API listens');
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all(this.#servers.map((server) => closeServer(server, this.#settings.closeGrace))).then(() => undefined);
    return this.#closing;
  }

  #newServer(): Server {
    const { requestTimeout, idleTimeout, maxConnections } = this.#settings;
    const server = createServer({
      requestTimeout,
      headersTimeout: requestTimeout,
      keepAliveTimeout: idleTimeout,
      connectionsCheckingInterval: Math.max(50, Math.min(5_000, requestTimeout / 4)),
      noDelay: true,
    });
    server.timeout = idleTimeout;
    server.maxConnections = maxConnections;
    server.on('request', (request, response) => void this.#serve(request, response));
    server.on('clientError', refuseUnreadable);
    this.#servers.push(server);
    return server;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      write(response, await this.#answer(request, response), request.method === 'HEAD');
    } catch (cause) {
      const error = asSkerryError(cause);
      if (error.entry.fault === 'ours') this.#options.logger.error({ code: error.code, url: request.url, cause }, error.message);
      write(response, errorAnswer(error), false);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const url = request.url ?? '/';
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    const match = matchRoute(this.#routes, request.method ?? '', path);
    if (match.kind === 'found') return match.handle({ request, response, params: match.params });
    if (match.kind === 'unknown') return errorAnswer(new SkerryError('SERVE_PATH_UNKNOWN', `there is nothing at ${path.slice(0, 256)}`));
    const allow = match.allow.join(', ');
    return errorAnswer(new SkerryError('SERVE_METHOD', `${request.method} is not allowed here, only ${allow}`), { allow });
  }
}

/** OIP v2 "Inference Response JSON Error Object", with our code and advice beside its `error`. */
function errorAnswer(error: SkerryError, headers: Readonly<Record<string, string>> = {}): Answer {
  const { message, code, fault, action, details } = error.toBody();
  const retry = error.entry.http === 503 ? { 'retry-after': '1' } : {};
  return jsonAnswer({ error: message, code, fault, action, ...(details === undefined ? {} : { details }) }, error.entry.http, {
    ...headers,
    ...retry,
  });
}

function write(response: ServerResponse, answer: Answer, headOnly: boolean): void {
  if (response.headersSent || response.destroyed) return;
  const length = answer.body.reduce((sum, part) => sum + (typeof part === 'string' ? Buffer.byteLength(part) : part.byteLength), 0);
  response.writeHead(answer.status, { ...answer.headers, 'content-length': length });
  if (!headOnly) {
    const [first, ...rest] = answer.body;
    if (rest.length === 0) {
      response.end(first);
      return;
    }
    response.cork();
    for (const part of answer.body) response.write(part);
  }
  response.end();
}

/** What the HTTP parser refuses, or a request that did not arrive in time, never becomes a request: answered on the bare socket. */
function refuseUnreadable(cause: Error, socket: Duplex): void {
  if (!socket.writable || errnoOf(cause) === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const late = errnoOf(cause) === 'ERR_HTTP_REQUEST_TIMEOUT';
  const error = new SkerryError(late ? 'SERVE_TIMEOUT' : 'SERVE_HTTP', late ? 'the request did not arrive in time' : cause.message);
  const { body } = errorAnswer(error);
  const text = String(body[0]);
  const status = late ? '408 Request Timeout' : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}

function closeServer(server: Server, grace: number): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), grace);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}
