import { Server } from '@grpc/grpc-js';
import type { Socket } from 'node:net';
import { foregroundClock } from '#shared/kernel/clock.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Row } from '#shared/kernel/phases.js';
import { ServerCredentials } from '@grpc/grpc-js';
import type { AllowedHosts } from '../allowed-hosts.js';
import type { BodyMemory } from '../body-memory.js';
import type { ServeConfig, ServeSettings } from '../config.js';
import type { Incoming } from '../requests.js';
import type { GrpcApi } from './grpc-api.js';
import { GrpcCalls } from './grpc-calls.js';
import { GrpcListener } from './grpc-listener.js';

/** Time without an acknowledged ping after which a connection counts as broken, and how often one is sent. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 60_000, 'grpc.keepalive_timeout_ms': 20_000 };

interface GrpcTransportDeps {
  readonly apis: readonly (GrpcApi & { readonly name: string })[];
  /** What stands around every request. */
  readonly requests: Row<Incoming<Buffer>, Buffer>;
  readonly memory: BodyMemory;
  /** Names under which it may be reached; undefined: under all. */
  readonly hosts: AllowedHosts | undefined;
  readonly config: NonNullable<ServeConfig['grpc']>;
  readonly settings: ServeSettings;
  readonly logger: Logger;
}

/** gRPC on TCP. It carries messages to the methods of every API and their answers back. */
export class GrpcTransport implements Service {
  readonly #deps: GrpcTransportDeps;
  readonly #server: Server;
  readonly #calls: GrpcCalls;
  readonly #listener: GrpcListener;
  readonly #sockets = new Set<Socket>();
  #port: number | undefined;
  #closing: Promise<void> | undefined;

  constructor(deps: GrpcTransportDeps) {
    this.#deps = deps;
    const { config, settings, logger, apis } = deps;
    this.#server = new Server({
      'grpc.max_receive_message_length': settings.bodyLimit,
      // The size of an answer follows from the model, which was loaded here.
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': settings.grpcStreams,
      'grpc.max_connection_idle_ms': settings.grpcIdleTimeout,
      'grpc.enable_channelz': 0,
      ...KEEPALIVE,
    });
    this.#calls = new GrpcCalls(deps);
    for (const { name, services } of apis) for (const service of services) this.#calls.register(this.#server, name, service);
    // Connections come from our own listener: it has the limits, and the TLS files can change while it runs.
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = new GrpcListener({
      config,
      settings,
      logger,
      connected: (socket) => {
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
        injector.injectConnection(socket);
      },
    });
  }

  get address(): { readonly host: string; readonly port: number } | undefined {
    return this.#port === undefined ? undefined : { host: this.#deps.config.host, port: this.#port };
  }

  async start(): Promise<void> {
    try {
      this.#port = await this.#listener.start();
    } catch (cause) {
      await this.close();
      throw cause;
    }
    this.#deps.logger.info({ ...this.address, tls: this.#deps.config.tls !== undefined }, 'gRPC listens');
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Accepts no more calls, answers those under way, and ends what is not done after the grace. */
  async #close(): Promise<void> {
    const cancelForce = foregroundClock.schedule(this.#deps.settings.closeGrace, () => {
      this.#server.forceShutdown();
      for (const socket of this.#sockets) socket.destroy();
    });
    this.#calls.close();
    const closed = this.#listener.close();
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    await closed;
    cancelForce();
  }
}
