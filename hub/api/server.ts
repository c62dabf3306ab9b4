import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import { Connections, TLS_HANDSHAKE } from '#hub/kernel/connections.js';
import { minutes, seconds } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { TrustedProxies } from './client-address.js';
import { toApiError } from './error-body.js';
import type { HttpMetrics } from './http-metrics.js';
import { type MountDeps, mountRoutes } from './mount.js';
import { collectOpenApi } from './openapi.js';
import { refuseUnreadable } from './refuse-unreadable.js';
import type { Route } from './route.js';
import { refuseUpgrade, upgradeTarget } from '#hub/kernel/upgrade.js';

interface ApiServerOptions extends MountDeps {
  /** Reverse proxies whose word on the client's address, host and protocol is believed. */
  readonly trustedProxies: TrustedProxies;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** PEM. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly version: string;
  readonly routes: readonly Route[];
  readonly metrics: HttpMetrics;
  readonly logger: Logger;
}

/** The hub's HTTP server: REST under /api/v1, health, metrics; WebSocket paths are added by `onUpgrade` handlers. */
export class ApiServer implements Service {
  readonly #options: ApiServerOptions;
  readonly #server: Server;
  readonly #upgradePaths = new Set<string>();
  readonly #connections: Connections;
  #app: FastifyInstance | undefined;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#server =
      options.tls === undefined
        ? createServer()
        : createTlsServer({ ...options.tls, minVersion: 'TLSv1.2', handshakeTimeout: TLS_HANDSHAKE });
    this.#connections = new Connections(this.#server);
    this.#server.on('upgrade', (request, socket: Duplex) => {
      // Node listens no more: a peer that resets the connection would end the process.
      socket.on('error', () => socket.destroy());
      if (this.#closing !== undefined) socket.destroy();
      if (!this.#upgradePaths.has(upgradeTarget(request).path)) refuseUpgrade(socket, '404 Not Found');
    });
  }

  /** Serves a WebSocket path on the same port: `attach` gets the server and listens for its own upgrades. */
  addUpgrade(path: string, attach: (server: Server) => void): void {
    this.#upgradePaths.add(path);
    attach(this.#server);
  }

  start(): Promise<void> {
    this.#starting ??= this.#listen();
    return this.#starting;
  }

  async #listen(): Promise<void> {
    const { host, port } = this.#options;
    const app = await buildApp(this.#options, this.#server);
    this.#app = app;
    try {
      await app.listen({ host, port });
    } catch (cause) {
      throw new SkerryError('HUB_LISTEN_FAILED', `cannot listen on ${host}:${port}: ${asSkerryError(cause).message}`, { cause });
    }
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#starting?.catch(() => undefined);
      const closed = this.#app?.close();
      this.#connections.endAll();
      await closed;
    })();
    return this.#closing;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new SkerryError('CLOSED', 'the HTTP server does not listen');
    return address.port;
  }

  /** The OpenAPI 3.1 document of every mounted route. */
  openApi(): unknown {
    if (this.#app === undefined) throw new SkerryError('CLOSED', 'the HTTP server has not started');
    return this.#app.swagger();
  }
}

/** The Fastify application with every route on it, listening nowhere yet. */
async function buildApp(options: ApiServerOptions, server: Server): Promise<FastifyInstance> {
  const { logger } = options;
  // A large upload may take hours; a connection on which nothing moves is ended instead.
  server.requestTimeout = 0;
  server.headersTimeout = seconds(30);
  server.timeout = minutes(2);
  const app: FastifyInstance = Fastify({
    serverFactory: (handler) => server.on('request', handler),
    bodyLimit: LIMITS.apiBodyBytes,
    trustProxy: options.trustedProxies,
    // Longer ones are answered as if there were no such route; names have their own limit, and ids that begin with one.
    routerOptions: { maxParamLength: 2 * LIMITS.nameLength },
    // Of paths that cannot be routed, before any hook: answered like every other error.
    frameworkErrors: (thrown, request, reply) => void answerError(thrown, request, reply, logger),
    clientErrorHandler: refuseUnreadable,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && /^[A-Za-z0-9-]{8,64}$/.test(given) ? given : randomUUID();
    },
  });
  app.removeContentTypeParser('text/plain');
  // Requests are narrowed by `defineRoute`, with the project's own errors; the schemas given to Fastify document them.
  app.setValidatorCompiler(() => (value: unknown) => ({ value }));
  app.setSerializerCompiler(serializerCompiler);
  app.addHook('onRequest', async (request, reply) => void named(request, reply));
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? '(none)';
    options.metrics.count(request.method, route, reply.statusCode, reply.elapsedTime / 1_000);
    logger.debug({ requestId: request.id, method: request.method, route, status: reply.statusCode, ms: reply.elapsedTime }, 'request');
  });
  app.setErrorHandler((thrown, request, reply) => answerError(thrown, request, reply, logger));
  app.setNotFoundHandler((request, reply) => {
    const error = new SkerryError('API_NOT_FOUND', `there is no ${request.method} ${request.url.split('?', 1)[0] ?? ''}`);
    return reply.code(error.http).send(error.toBody());
  });
  await collectOpenApi(app, options.version);
  await mountRoutes(app, options.routes, options);
  return app;
}

/** What every answer says of itself. */
function named(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
}

function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger): FastifyReply {
  const error = toApiError(thrown);
  if (error.http >= 500) logger.error({ requestId: request.id, code: error.code, cause: error }, 'request failed');
  const retryAfter = error.details?.['retryAfterSeconds'];
  if (typeof retryAfter === 'number') reply.header('retry-after', retryAfter);
  if (error.code === 'API_UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer');
  return named(request, reply).code(error.http).type('application/json').send(error.toBody());
}
