import { SkerryError } from '#shared/kernel/errors.js';
import type { AgentConfig } from '../config.js';
import { serveLimits, socketPath } from '../serving-settings.js';
import type { ServeConfig } from '../serve/config.js';

/** Where and how the local API listens, by the settings. Errors: `CONFIG_INVALID` for TLS without its certificate or key. */
export function serveConfigOf(config: AgentConfig): ServeConfig {
  const socket = socketPath(config);
  return {
    tcp: { host: config.httpHost, port: config.httpPort },
    ...(socket === undefined ? {} : { unix: { path: socket } }),
    ...(config.grpcPort === undefined ? {} : { grpc: grpcAddress(config, config.grpcPort) }),
    ...serveLimits(config),
  };
}

/** Where gRPC listens. Errors: `CONFIG_INVALID` for TLS without its certificate or key. */
function grpcAddress(config: AgentConfig, port: number): NonNullable<ServeConfig['grpc']> {
  const { grpcHost: host, grpcTlsCert: cert, grpcTlsKey: key, grpcTlsClientCa: clientCa } = config;
  if (cert === undefined && key === undefined && clientCa === undefined) return { host, port };
  if (cert !== undefined && key !== undefined) return { host, port, tls: { cert, key, ...(clientCa === undefined ? {} : { clientCa }) } };
  throw new SkerryError('CONFIG_INVALID', 'TLS of the gRPC port needs a certificate and its key: --grpc-tls-cert and --grpc-tls-key');
}
