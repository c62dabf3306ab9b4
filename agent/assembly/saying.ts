import type { Parts } from '#shared/kernel/lifecycle.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import type { Capabilities } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import { describeDevice } from '../capabilities.js';
import type { AgentStatus } from '../contract.js';
import type { PredictionTarget } from '../inference/contract.js';
import type { RuntimeDescription } from '../inference/instances/instance-protocol.js';
import { HealthMonitor } from '../metrics/health.js';
import { TelemetryReporter } from '../metrics/reporter.js';
import type { ModelManager } from '../models/manager.js';
import { Reporter } from '../sync/reporter.js';
import type { Updater } from '../update/updater.js';
import type { InferenceRuntime } from '../inference/runtime.js';
import type { AgentContext } from './context.js';
import type { Guarding } from './guarding.js';
import type { HubSide } from './hub-side.js';
import type { Predicting } from './predicting.js';
import { takeReport } from './report.js';
import type { Stored } from './stored.js';

interface SayingNeeds {
  readonly guarding: Guarding;
  readonly stored: Stored;
  readonly predicting: Predicting;
  readonly description: RuntimeDescription;
  readonly hub: HubSide;
  readonly models: () => ModelManager;
  readonly updater: () => Updater;
  readonly agent: () => PredictionTarget;
}

/** What is said of all of it. */
export interface Saying {
  readonly health: HealthMonitor;
  readonly reporter: Reporter;
  readonly telemetry: TelemetryReporter;
  readonly status: () => Promise<AgentStatus>;
}

export function openSaying(parts: Parts, context: AgentContext, needs: SayingNeeds): Saying {
  const { config, identity, clock, logger, startedAt } = context;
  const { stored, predicting, description, hub, models, updater, agent, guarding } = needs;
  const { fleet, device } = identity;
  const { store } = stored;
  const capabilities = (): Capabilities => ({ ...describeDevice(description), selfUpdate: updater().capability });
  const report = (): Promise<Reported> =>
    takeReport({
      identity: hub.who.identity,
      store,
      hub,
      agentVersion: SKERRY_VERSION,
      capabilities: capabilities(),
      models: () => [...models().reportedModels(), ...updater().reported()],
      clock,
    });
  const reporter = parts.holds(
    new Reporter({ fleet, device, link: hub.link, snapshot: report, clock, logger: logger.child({ room: 'sync' }) }),
  );
  const health = new HealthMonitor({
    diskUsed: async () => (await store.blobs.usage()).usedBytes,
    otherMemory: () => predicting.runtime.residentBytes(),
  });
  const telemetry = parts.holds(
    new TelemetryReporter({
      device,
      recorder: predicting.recorder,
      health,
      agent,
      append: (payload) => store.outbox.append('telemetry', payload),
      clock,
      time: () => hub.time.measured(),
      window: config.window,
      logger: logger.child({ room: 'metrics' }),
    }),
  );
  const status = async (): Promise<AgentStatus> => ({
    version: SKERRY_VERSION,
    pid: process.pid,
    startedAt,
    fleet,
    hub: hub.who.hub,
    link: hub.link.status,
    access: guarding.status(),
    memory: memoryOf(predicting.runtime),
    reported: await report(),
  });
  return { health, reporter, telemetry, status };
}

function memoryOf(runtime: Pick<InferenceRuntime, 'list' | 'memory'>): AgentStatus['memory'] {
  const { heldBytes, budgetBytes } = runtime.memory();
  const versions = runtime.list().flatMap(({ model, version, memoryBytes, memoryEstimated = false, asleep = false }) => {
    return memoryBytes === undefined ? [] : [{ model, version, bytes: memoryBytes, isEstimate: memoryEstimated, asleep }];
  });
  return { heldBytes, ...(budgetBytes === undefined ? {} : { budgetBytes }), versions };
}
