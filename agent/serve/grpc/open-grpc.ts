import type { DataPlane } from '#agent/inference/contract.js';
import { systemClock } from '#shared/kernel/clock.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Row } from '#shared/kernel/phases.js';
import type { AllowedHosts } from '../allowed-hosts.js';
import type { BodyMemory } from '../body-memory.js';
import type { ServeConfig, ServeSettings } from '../config.js';
import type { Dialect, DialectDeps } from '../dialect.js';
import type { Incoming } from '../requests.js';
import type { GrpcApi } from './grpc-api.js';
import { GrpcTransport } from './grpc-transport.js';
import { healthApi } from './health.js';
import { reflectionApi } from './reflection.js';

interface OpenGrpcDeps {
  readonly dialects: readonly Dialect[];
  readonly dialectDeps: DialectDeps;
  readonly models: Pick<DataPlane, 'list' | 'routed'>;
  /** What stands around every request. */
  readonly requests: Row<Incoming<Buffer>, Buffer>;
  readonly memory: BodyMemory;
  readonly hosts: AllowedHosts | undefined;
  readonly config: NonNullable<ServeConfig['grpc']>;
  readonly settings: ServeSettings;
  readonly logger: Logger;
}

/** The gRPC side of the local API, not started: each dialect that has one, the standard health service, and reflection. */
export async function openGrpc({ dialects, dialectDeps, models, ...deps }: OpenGrpcDeps): Promise<GrpcTransport> {
  const spoken: (GrpcApi & { readonly name: string })[] = [];
  for (const { name, grpc } of dialects) if (grpc !== undefined) spoken.push({ name, ...(await grpc())(dialectDeps) });
  const services = spoken.flatMap((api) => api.services.map(({ service }) => service.name));
  const health = { name: 'grpc-health', ...healthApi({ models, services, clock: systemClock }) };
  const reflection = { name: 'grpc-reflection', ...reflectionApi([...spoken, health]) };
  return new GrpcTransport({ ...deps, apis: [...spoken, health, reflection] });
}
