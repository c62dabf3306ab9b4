import { mkdir } from 'node:fs/promises';
import { sleep } from '#shared/kernel/clock.js';
import { asSkerryError, fromErrorBody } from '#shared/kernel/errors.js';
import { Parts } from '#shared/kernel/lifecycle.js';
import { seconds } from '#shared/kernel/time.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { Announcement } from './assembly/announcement.js';
import { type AgentContext, contextOf } from './assembly/context.js';
import { openGuarding } from './assembly/guarding.js';
import { type HubSide, openHubSide, openTrustSide } from './assembly/hub-side.js';
import { openModels, openWitness } from './assembly/models.js';
import { openPredicting, type Predicting } from './assembly/predicting.js';
import { openSaying, type Saying } from './assembly/saying.js';
import { openServing } from './assembly/serving.js';
import { openStored, type Stored } from './assembly/stored.js';
import { startThreads } from './assembly/threads.js';
import { openUpdating, type Updating } from './assembly/updating.js';
import { openWatching } from './assembly/watching.js';
import type { Agent, AgentOptions } from './contract.js';
import type { PredictionTarget } from './inference/contract.js';
import { agentTarget } from './metrics/agent-target.js';
import type { CrashWitness } from './metrics/crash-witness.js';
import type { ModelManager } from './models/manager.js';
import { whereFound, withdraw } from './running.js';
import type { InferenceServer } from './serve/server.js';
import { listenToCommands } from './sync/commands.js';

/** How long models from the disk may take before the agent goes for the network beside them. */
const HEAD_START = seconds(2);

/** Builds an agent from its parts and gives it unstarted. Rejects with `STORE_...`, `TRUST_...` or `CONFIG_INVALID`, leaving nothing open. */
export function openAgent(options: AgentOptions): Promise<Agent> {
  return Parts.open(async (parts) => {
    const context = contextOf(options);
    const house = await assemble(parts, context, options);
    connect(context, house);
    startInOrder(parts, context, house);
    return agentOf(parts, context, house);
  });
}

interface House {
  readonly predicting: Predicting;
  readonly stored: Stored;
  readonly hub: HubSide;
  readonly models: ModelManager;
  readonly witness: CrashWitness;
  readonly updating: Updating;
  readonly saying: Saying;
  readonly server: InferenceServer;
}

/**
 * Reads in the closing order, from what closes last: what is durable, what predicts, what talks to the hub, what is said of all of it, what
 * keeps models and agent as they should be, what serves.
 */
async function assemble(parts: Parts, context: AgentContext, options: AgentOptions): Promise<House> {
  const { config } = context;
  await mkdir(config.data, { recursive: true, mode: 0o700 });
  const threads = parts.holds(options.threads ?? startThreads(config, context.clock));
  const crashParts = parts.holds(new Parts());
  const predicting = openPredicting(parts, context, {
    threads,
    witness: () => stored?.witnessFile,
    onCrash: ({ model, version }, { code, message }) =>
      stored?.events.emit({ kind: 'version.crashed', model, version, error: { code, message } }),
  });
  const trustSide = openTrustSide(context, () => hub.time);
  let stored: Stored | undefined;
  stored = await openStored(crashParts, context, threads);
  const description = await predicting.description;
  const hub: HubSide = await openHubSide(parts, context, { stored, trustSide });
  const agent = (): PredictionTarget => agentTarget(updating.updater.capability.release);
  const guarding = await openGuarding(parts, context);
  const saying = openSaying(parts.holds(new Parts()), context, {
    guarding,
    stored,
    predicting,
    description,
    hub,
    models: () => models,
    updater: () => updating.updater,
    agent,
  });
  const models: ModelManager = openModels(parts, context, {
    stored,
    predicting,
    description,
    hub,
    foreign: () => updating.updater.files(),
    observe: options.observe,
  });
  const witness = await openWitness(crashParts, context, { stored, predicting, agent });
  const { hasFailed } = stored;
  const updating: Updating = await openUpdating(parts, context, {
    options,
    stored,
    hub,
    models,
    isAlive: async () => void (await saying.status()),
    hasFailed: () => hasFailed() || parts.hasFailed,
  });
  const watching = await openWatching(parts, { ...context, instance: context.identity.device });
  const server = await openServing(parts, context, { stored, predicting, description, hub, saying, guarding, watching });
  return { predicting, stored, hub, models, witness, updating, saying, server };
}

/** Who hears of whom. */
function connect({ identity, logger }: AgentContext, { stored, hub, models, updating: { updater }, saying }: House): void {
  const { trust, desired, link, fetcher } = hub;
  const { reporter, telemetry } = saying;
  const { fleet, device } = identity;
  const retry = (): void => {
    models.retryNow();
    updater.retryNow();
  };
  models.onChange(() => reporter.changed());
  updater.onChange(() => reporter.changed());
  desired.onChange(() => reporter.changed());
  trust.onChange(() => {
    reporter.changed();
    if (trust.status.error === undefined) retry();
  });
  trust.onRefreshed(() => desired.retry());
  link.onStatus((now) => {
    if (now.kind === 'online') retry();
  });
  listenToCommands({
    fleet,
    device,
    link,
    time: hub.time,
    logger: logger.child({ room: 'sync' }),
    handlers: {
      report: () => reporter.now(),
      flush: () => void telemetry.flush(),
      'stand-down': (cmd) => {
        if (cmd.bootId === stored.store.bootId) link.standDown(fromErrorBody(cmd.error));
      },
      'fetch-refused': (cmd) => fetcher.refused(cmd),
    },
  });
}

/** What is on this device serves first; the hub is looked for last. */
function startInOrder(parts: Parts, context: AgentContext, house: House): void {
  const { predicting, hub, models, witness, updating, saying, server } = house;
  for (const service of [
    predicting.runtime,
    server,
    witness,
    models,
    updating.updater,
    saying.telemetry,
    hub.trust,
    hub.pump,
    saying.reporter,
  ]) {
    parts.onStart(() => service.start());
  }
  announceAtStart(parts, context, house);
  const connecting = new AbortController();
  parts.onStart(() => {
    // R2: predictions never wait for the network; the link begins once what is here serves, or shortly after.
    Promise.race([models.idle(), sleep(context.clock, HEAD_START, connecting.signal)])
      .then(() => (connecting.signal.aborted ? undefined : hub.link.start()))
      .catch(() => undefined);
  });
  parts.onClose(() => connecting.abort());
}

/** How others find this agent, once it serves. */
function announceAtStart(parts: Parts, { config, identity, clock, logger, startedAt }: AgentContext, { stored, server }: House): void {
  const { store, events } = stored;
  let announcing: Announcement | undefined;
  parts.onStart(async () => {
    const { boot } = store;
    const where = whereFound(server.address);
    const self = { pid: process.pid, boot, version: SKERRY_VERSION, startedAt, device: identity.device, ...where };
    announcing = new Announcement(config.data, self, clock, logger);
    await announcing.start();
    events.emit({ kind: 'agent.started', detail: { version: SKERRY_VERSION, boot, recovered: store.recovery !== undefined } });
  });
  parts.onClose(async () => {
    await announcing?.close();
    await withdraw(config.data).catch((cause: unknown) =>
      logger.warn({ reason: asSkerryError(cause).message }, 'agent.json could not be removed'),
    );
  });
}

function agentOf(parts: Parts, { identity }: AgentContext, { predicting, stored, updating, saying, server }: House): Agent {
  return {
    device: identity.device,
    get address() {
      return server.address;
    },
    failed: stored.failed,
    onEnding: (listener) => parts.onClose(listener),
    makesRoom: updating.makesRoom,
    status: saying.status,
    stuckThreads: () => predicting.runtime.stuckThreads(),
    abandonAll: () => predicting.runtime.abandonAll(),
    start: () => parts.start(),
    close: () => parts.close(),
  };
}
