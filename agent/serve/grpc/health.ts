import type { DataPlane } from '#agent/inference/contract.js';
import { type Clock, sleep } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Millis } from '#shared/kernel/time.js';
import { HEALTH, HEALTH_PROTO, SERVING_STATUS } from '#shared/protobuf/standard/health-proto.js';
import { notReady } from '../readiness.js';
import { type GrpcApi, unary, watching } from './grpc-api.js';

/** How often a watched state is looked at. */
const LOOK_EVERY: Millis = 500;

interface HealthDeps {
  readonly models: Pick<DataPlane, 'list' | 'routed'>;
  /** Full names of the services spoken here. */
  readonly services: readonly string[];
  readonly clock: Clock;
}

/** The standard health service. All services here stand on the same models, so they are ready together; the empty name is the server. */
export function healthApi({ models, services, clock }: HealthDeps): GrpcApi {
  const isKnown = (service: string): boolean => service === '' || services.includes(service);
  const state = (): number => (notReady(models).length === 0 ? SERVING_STATUS.SERVING : SERVING_STATUS.NOT_SERVING);
  const check = unary(HEALTH.rpcs.Check, {
    call: 'health',
    answer: ({ service }) => {
      if (isKnown(service)) return { status: state() };
      throw new SkerryError('SERVE_PATH_UNKNOWN', `no service ${JSON.stringify(service.slice(0, 128))} is offered here`);
    },
  });
  const watch = watching(HEALTH.rpcs.Watch, 'health', async function* ({ service }, signal) {
    let before: number | undefined;
    while (!signal.aborted) {
      // "Watch": an unknown service is a state, since it may come to exist.
      const now = isKnown(service) ? state() : SERVING_STATUS.SERVICE_UNKNOWN;
      if (now !== before) yield { status: now };
      before = now;
      await sleep(clock, LOOK_EVERY, signal).catch(() => undefined);
    }
  });
  return { services: [{ service: HEALTH, methods: { Check: check, Watch: watch } }], protos: [HEALTH_PROTO] };
}
