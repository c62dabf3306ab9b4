import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DataPlane } from '#agent/inference/contract.js';
import { foregroundClock } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { FeedbackSink } from './feedback-routes.js';
import { DEFAULT_SERVE_SETTINGS, type ServeConfig, type ServeSettings } from './config.js';
import { listenTcp, listenUnix } from './http/listener.js';
import { type Answer, errorAnswer } from './oip/oip-response.js';
import { expectsContinue } from './http/body.js';
import { refuseTunnel, refuseUnreadable, type Unfinished } from './http/refusals.js';
import { matchRoute, pathOf, type Route } from './http/router.js';
import type { Handler } from './http/exchange.js';
import { localRoutes } from './routes.js';
import { writeAnswer } from './http/write-answer.js';

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
  /** The newest request of each connection. */
  readonly #last = new WeakMap<Duplex, Unfinished>();
  #address: ServeAddress = { tcp: undefined, unix: undefined };
  #closing: Promise<void> | undefined;

  constructor(options: InferenceServerOptions) {
    const { dataPlane, feedback, metricsText, status, agentVersion, config } = options;
    this.#options = options;
    this.#settings = { ...DEFAULT_SERVE_SETTINGS, ...config };
    const { bodyLimit, jsonElements } = this.#settings;
    this.#routes = localRoutes({ dataPlane, feedback, metricsText, status, agentVersion, bodyLimit, jsonElements });
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
        if (await listenUnix(this.#newServer(), unix.path)) this.#address = { ...this.#address, unix: unix.path };
        else this.#options.logger.warn({ path: unix.path }, 'no Unix socket: the disk is read-only');
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
      // Checked with the rest, so that its error has our form.
      requireHostHeader: false,
    });
    server.timeout = idleTimeout;
    server.maxConnections = maxConnections;
    const serve = (request: IncomingMessage, response: ServerResponse): void => void this.#serve(request, response);
    server.on('request', serve);
    // Whether the body is wanted shows when it is read.
    server.on('checkContinue', serve);
    server.on('checkExpectation', serve);
    server.on('connect', refuseTunnel);
    server.on('clientError', (cause, socket) => refuseUnreadable(cause, socket, this.#last.get(socket)));
    this.#servers.push(server);
    return server;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#last.set(request.socket, { request, response });
    // A connection with a prediction in it is not idle: how long that may take is the data plane's to say, which always answers.
    request.socket.setTimeout(0);
    const answer = await this.#answer(request, response).catch((cause: unknown) => {
      const error = asSkerryError(cause);
      if (error.entry.fault === 'ours') this.#options.logger.error({ code: error.code, url: request.url, cause }, error.message);
      return errorAnswer(error);
    });
    request.socket.setTimeout(this.#settings.idleTimeout);
    await writeAnswer({ request, response }, answer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    checkHead(request);
    const path = pathOf(request.url ?? '/');
    const match = matchRoute(this.#routes, request.method ?? '', path);
    if (match.kind === 'found') return match.handle({ request, response, params: match.params });
    if (match.kind === 'unknown') return errorAnswer(new SkerryError('SERVE_PATH_UNKNOWN', `there is nothing at ${path.slice(0, 256)}`));
    const allow = match.allow.join(', ');
    return errorAnswer(new SkerryError('SERVE_METHOD', `${request.method} is not allowed here, only ${allow}`), { allow });
  }
}

/** What Node would refuse without a body, or let pass. */
function checkHead({ headers, httpVersion }: IncomingMessage): void {
  // RFC 9112, 3.2.
  if (httpVersion === '1.1' && headers.host === undefined)
    throw new SkerryError('SERVE_HTTP', 'an HTTP/1.1 request must have a Host header');
  if (headers.expect === undefined || expectsContinue(headers)) return;
  throw new SkerryError('SERVE_EXPECTATION', `Expect: ${headers.expect.slice(0, 64)} cannot be met, only 100-continue`);
}

function closeServer(server: Server, grace: number): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => {
    const cancelForce = foregroundClock.schedule(grace, () => server.closeAllConnections());
    server.close(() => {
      cancelForce();
      resolve();
    });
    server.closeIdleConnections();
  });
}
