import type { ProtoFile } from '../descriptor.js';
import { type EnumType, message, one, rpc, service, streamingRpc } from '../schema.js';

// GRPC Health Checking Protocol, grpc.health.v1.

/** Answers of a health check. */
export const SERVING_STATUS = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

const STATUS: EnumType = { name: 'grpc.health.v1.HealthCheckResponse.ServingStatus', values: SERVING_STATUS };
const REQUEST = message('grpc.health.v1.HealthCheckRequest', { service: one('string', 1) });
const RESPONSE = message('grpc.health.v1.HealthCheckResponse', { status: one(STATUS, 1) });

export const HEALTH = service('grpc.health.v1.Health', {
  Check: rpc(REQUEST, RESPONSE),
  Watch: streamingRpc(REQUEST, RESPONSE, 'answers'),
});

export const HEALTH_PROTO: ProtoFile = {
  name: 'grpc/health/v1/health.proto',
  package: 'grpc.health.v1',
  imports: [],
  messages: [REQUEST, RESPONSE],
  enums: [STATUS],
  services: [HEALTH],
};
