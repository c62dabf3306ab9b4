import { resolve } from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';
import type { AgentConfig } from '../config.js';
import type { ServeConfig } from '../serve/config.js';
import type { ServingConfig } from '../serving-settings.js';

/** Where and how the local API listens, by the settings. Errors: `CONFIG_INVALID` for TLS without its certificate or key. */
export function serveConfigOf(config: AgentConfig): ServeConfig {
  const { httpHost, metricsPort, vertexHealthRoute: health, vertexPredictRoute: predict } = config;
  const socket = socketPath(config);
  return {
    tcp: { host: httpHost, port: config.httpPort },
    ...(socket === undefined ? {} : { unix: { path: socket } }),
    ...(config.grpcPort === undefined ? {} : { grpc: grpcAddress(config, config.grpcPort) }),
    ...(metricsPort === 'none' ? {} : { metrics: { host: httpHost, port: metricsPort } }),
    vertex: { ...(health === undefined ? {} : { health }), ...(predict === undefined ? {} : { predict }) },
    jsonElements: config.jsonElements,
    bodyLimit: config.bodyLimit,
    bodyMemory: config.bodyMemory,
    maxConnections: config.maxConnections,
    maxRequests: config.maxRequests,
    requestTimeout: config.requestTimeout,
    idleTimeout: config.idleTimeout,
    grpcStreams: config.grpcStreams,
    corsOrigins: config.corsOrigins ?? [],
    allowedHosts: config.allowedHosts ?? [],
    sharedMemory: config.sharedMemory === 'on',
  };
}

/** Where gRPC listens. Errors: `CONFIG_INVALID` for TLS without its certificate or key. */
function grpcAddress(config: AgentConfig, port: number): NonNullable<ServeConfig['grpc']> {
  const { grpcHost: host, grpcTlsCert: cert, grpcTlsKey: key, grpcTlsClientCa: clientCa } = config;
  if (cert === undefined && key === undefined && clientCa === undefined) return { host, port };
  if (cert !== undefined && key !== undefined) return { host, port, tls: { cert, key, ...(clientCa === undefined ? {} : { clientCa }) } };
  throw new SkerryError('CONFIG_INVALID', 'TLS of the gRPC port needs a certificate and its key: --grpc-tls-cert and --grpc-tls-key');
}

/** Longest path of a Unix socket that every system takes. */
const SOCKET_PATH_BYTES = 103;

/** Path of the local API's socket; `undefined` when there is to be none, or the path would be too long for one. */
export function socketPath(
  config: Pick<ServingConfig, 'socket'> & { readonly data: string },
  platform: string = process.platform,
): string | undefined {
  // Node knows named pipes on Windows instead, which every user of the machine may open: there the API is on loopback alone.
  if (platform === 'win32' || config.socket === 'none' || config.socket === '') return undefined;
  const path = resolve(config.data, config.socket);
  return Buffer.byteLength(path) > SOCKET_PATH_BYTES ? undefined : path;
}
