import type { Parts } from '#shared/kernel/lifecycle.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import type { RuntimeDescription } from '../inference/instances/instance-protocol.js';
import { createMetricsText } from '../metrics/text.js';
import { openDialects } from '../serve/dialects.js';
import { createInferenceServer, type InferenceServer } from '../serve/server.js';
import type { AgentContext } from './context.js';
import type { Guarding } from './guarding.js';
import { serveConfigOf } from './serve-config.js';
import type { Watching } from './watching.js';
import type { HubSide } from './hub-side.js';
import type { Predicting } from './predicting.js';
import type { Saying } from './saying.js';
import type { Stored } from './stored.js';

interface ServingNeeds {
  readonly stored: Stored;
  readonly predicting: Predicting;
  readonly description: RuntimeDescription;
  readonly hub: HubSide;
  readonly saying: Saying;
  readonly guarding: Guarding;
  readonly watching: Watching;
}

/** The local servers. */
export async function openServing(parts: Parts, { config, logger }: AgentContext, needs: ServingNeeds): Promise<InferenceServer> {
  const { stored, predicting, description, hub, saying, guarding, watching } = needs;
  const { runtime, recorder, requests } = predicting;
  const metricsText = createMetricsText({
    recorder,
    requests,
    dataPlane: runtime,
    memory: () => runtime.memory(),
    health: saying.health,
    outbox: () => stored.store.outbox.stats(),
    link: () => hub.link.status,
    more: watching.families,
    build: () => ({ version: SKERRY_VERSION, node: process.version, runtime: `${description.name} ${description.version}` }),
  });
  const server = await createInferenceServer({
    dataPlane: runtime,
    feedback: recorder,
    requests,
    metricsText,
    status: saying.status,
    config: serveConfigOf(config),
    access: guarding.access,
    tracer: watching.tracer,
    accessLog: watching.accessLog,
    dialects: await openDialects(config.dialects),
    agentVersion: SKERRY_VERSION,
    logger: logger.child({ room: 'serve' }),
  });
  return parts.holds(server);
}
