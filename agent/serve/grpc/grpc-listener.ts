import net from 'node:net';
import tls from 'node:tls';
import { systemClock } from '#shared/kernel/clock.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Millis } from '#shared/kernel/time.js';
import type { ServeConfig, ServeSettings } from '../config.js';
import { listenTcp } from '../listener.js';
import { TlsFiles } from './tls-files.js';

const HANDSHAKE_TIMEOUT: Millis = 10_000;

interface GrpcListenerDeps {
  readonly config: NonNullable<ServeConfig['grpc']>;
  readonly settings: Pick<ServeSettings, 'maxConnections'>;
  readonly logger: Logger;
  readonly connected: (socket: net.Socket) => void;
}

/** Accepts connections for gRPC, with TLS where it is configured. */
export class GrpcListener {
  readonly #deps: GrpcListenerDeps;
  #server: net.Server | undefined;
  #files: TlsFiles | undefined;

  constructor(deps: GrpcListenerDeps) {
    this.#deps = deps;
  }

  /** Gives the port taken. Errors: `SERVE_LISTEN_FAILED`, `CONFIG_INVALID` for the TLS files. */
  async start(): Promise<number> {
    const { config, settings } = this.#deps;
    this.#server = config.tls === undefined ? this.#plain() : await this.#secure(config.tls);
    this.#server.maxConnections = settings.maxConnections;
    return listenTcp(this.#server, config.host, config.port);
  }

  /** Accepts no more; resolves once the last connection has ended. */
  close(): Promise<void> {
    this.#files?.close();
    const server = this.#server;
    if (server?.listening !== true) return Promise.resolve();
    return new Promise((resolve) => void server.close(() => resolve()));
  }

  #plain(): net.Server {
    return net.createServer({ noDelay: true }, this.#deps.connected);
  }

  async #secure(files: NonNullable<GrpcListenerDeps['config']['tls']>): Promise<net.Server> {
    const { connected, logger } = this.#deps;
    this.#files = new TlsFiles({ files, clock: systemClock, logger });
    const server = tls.createServer(
      {
        ...(await this.#files.load()),
        requestCert: files.clientCa !== undefined,
        rejectUnauthorized: files.clientCa !== undefined,
        ALPNProtocols: ['h2'],
        handshakeTimeout: HANDSHAKE_TIMEOUT,
        noDelay: true,
      },
      (socket) => {
        // A connection that breaks is the client's affair; without a listener it would end the process.
        socket.on('error', () => socket.destroy());
        connected(socket);
      },
    );
    server.on('tlsClientError', (cause, socket) => {
      logger.debug({ cause, address: socket.remoteAddress }, 'a TLS handshake of the gRPC port failed');
    });
    this.#files.watch((contents) => server.setSecureContext({ ...contents }));
    return server;
  }
}
