import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '#shared/kernel/clock.js';
import { seconds } from '#shared/kernel/time.js';
import { asSkerryError, fromErrorBody, type SkerryError } from '#shared/kernel/errors.js';
import { packagedProgram } from '#shared/kernel/packaged-program.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import type { Capabilities } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import { describeDevice, describeRuntime } from './capabilities.js';
import { socketPath } from './config.js';
import type { Agent, AgentOptions, AgentStatus } from './contract.js';
import { openHubSide } from './hub-side.js';
import { createInferenceRuntime } from './inference/runtime.js';
import { endOrphans } from './inference/instances/orphans.js';
import { WitnessFile } from './inference/faults/witness-file.js';
import { BehaviourBook } from './metrics/behaviour.js';
import type { PredictionTarget } from './inference/contract.js';
import { agentTarget } from './metrics/agent-target.js';
import { CrashWitness } from './metrics/crash-witness.js';
import { HealthMonitor } from './metrics/health.js';
import { MetricsRecorder } from './metrics/recorder.js';
import { RequestCounts } from './metrics/request-counts.js';
import { TelemetryReporter } from './metrics/reporter.js';
import { tee } from './metrics/tee.js';
import { createMetricsText } from './metrics/text.js';
import { createModelManager } from './models/create-manager.js';
import { DEFAULT_MODEL_SETTINGS } from './models/manager.js';
import { takeReport } from './report.js';
import { Announcement } from './announcement.js';
import { whereFound, withdraw } from './running.js';
import { createInferenceServer } from './serve/server.js';
import { listenToCommands } from './sync/commands.js';
import { EventLog } from './sync/event-log.js';
import { tellAndWait } from './sync/hub-receipt.js';
import { Reporter } from './sync/reporter.js';
import { TufTrustClient } from './sync/trust-client.js';
import { TrustMirror } from './sync/trust-mirror.js';
import { startThreads } from './threads.js';
import { desiredOfModels } from './update/desired-of-models.js';
import type { Handover } from './update/ports.js';
import { SlotFolder } from './update/slot-folder.js';
import { Updater } from './update/updater.js';

/** How long models from the disk may take before the agent goes for the network beside them. */
const HEAD_START = seconds(2);

/** Builds an agent from its parts and gives it unstarted. Rejects with `STORE_...`, `TRUST_...` or `CONFIG_INVALID`, leaving nothing open. */
export async function openAgent(options: AgentOptions): Promise<Agent> {
  const opened: Closable[] = [];
  try {
    return await assemble(options, opened);
  } catch (cause) {
    // Threads that stay open would keep the process.
    for (const part of opened.toReversed()) await part.close().catch(() => undefined);
    throw cause;
  }
}

interface Closable {
  close(): Promise<void>;
}

/** Reads top to bottom: what is durable, what predicts, what talks to the hub, what keeps the models, who hears of whom, start and end. */
async function assemble(options: AgentOptions, opened: Closable[]): Promise<Agent> {
  const { config, identity, logger } = options;
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const { fleet, device } = identity;
  const startedAt = new Date(clock.now()).toISOString();
  await mkdir(config.data, { recursive: true, mode: 0o700 });

  // What is durable; it opens in its thread while the runtime loads in another.
  const threads = options.threads ?? startThreads(config, clock);
  opened.push(threads);

  // What predicts.
  const recorder = new MetricsRecorder();
  const requests = new RequestCounts();
  const behaviour = new BehaviourBook(clock);
  const told = tee(recorder, behaviour);
  let witnessFile: WitnessFile | undefined;
  const runtime = createInferenceRuntime({
    store: {
      get: async (key) => (await threads.store).state.get(key),
      set: async (key, value) => (await threads.store).state.set(key, value),
    },
    recorder: told,
    device,
    logger: logger.child({ room: 'inference' }),
    settings: {
      instances: config.instances,
      threads: config.threads,
      isolation: config.isolation,
      predictionLimit: config.predictionLimit,
      loadLimit: config.loadLimit,
    },
    clock,
    random,
    first: threads.instance,
    witness: () => witnessFile,
    onCrash: ({ model, version }, { code, message }) => events.emit({ kind: 'version.crashed', model, version, error: { code, message } }),
  });
  opened.push(runtime);
  const describing = describeRuntime(runtime, logger);
  const mirror = new TrustMirror(clock);
  const tuf = new TufTrustClient({
    folder: join(config.data, 'trust'),
    fleet,
    clock,
    mirror,
    signedTime: () => hub.time.freshest,
    latest: () => hub.time.latestMetadata,
  });
  // What was accepted is read and checked while the threads come up; whoever asks for it hears of what is wrong with it.
  tuf.versions().catch(() => undefined);
  const store = await threads.store;
  // Only one agent at a time has the store, and with it this file and these processes.
  witnessFile = WitnessFile.open(config.data, logger);
  endOrphans(config.data, logger);
  const { suspects } = witnessFile ?? {};
  const { recovery } = store;
  if (recovery !== undefined) logger.error({ code: recovery.error.code, movedTo: recovery.movedTo }, recovery.error.message);
  const description = await describing;
  const health = new HealthMonitor({
    diskUsed: async () => (await store.blobs.usage()).usedBytes,
    otherMemory: () => runtime.residentBytes(),
  });
  const events = new EventLog({ device, outbox: store.outbox, clock, logger });
  const failed = new Promise<SkerryError>((resolve) => store.onFailure(resolve));

  // What talks to the hub.
  const syncLogger = logger.child({ room: 'sync' });
  const hub = await openHubSide({ config, identity, store, events, mirror, tuf, clock, random, logger: syncLogger });
  const { time, link, trust, desired, fetcher, pump } = hub;

  // What keeps the models as they should be.
  const models = createModelManager({
    state: store.state,
    blobs: store.blobs,
    trust,
    fetcher,
    desired: desiredOfModels(desired),
    servables: runtime,
    events,
    machine: { providers: () => description.providers, memoryBytes: () => os.totalmem(), freeMemoryBytes: () => os.freemem() },
    behaviour,
    suspects,
    clock,
    logger: logger.child({ room: 'models' }),
    random,
    settings: { ...DEFAULT_MODEL_SETTINGS, bake: config.bake, maxBoots: config.maxBoots },
    foreign: () => updater.files(),
    ...(options.observe === undefined ? {} : { observe: options.observe }),
  });

  const agent = (): PredictionTarget => agentTarget(updater.capability.release);
  const witness = new CrashWitness({
    state: store.state,
    servables: runtime,
    recorder: told,
    events,
    logger,
    agent,
    suspects,
    crashes: await runtime.crashMemory(),
  });

  // What keeps the agent itself at the release it should be.
  let makeRoom: (handover: Handover) => void = () => undefined;
  const makesRoom = new Promise<Handover>((resolve) => {
    makeRoom = resolve;
  });
  const updater = await Updater.open({
    state: store.state,
    blobs: store.blobs,
    trust,
    fetcher,
    desired,
    events,
    clock,
    logger: logger.child({ room: 'update' }),
    random,
    settings: { bake: config.updateBake, alive: config.updateAlive, retry: DEFAULT_MODEL_SETTINGS.retry },
    folder: new SlotFolder(config.data),
    launched: options.launched,
    program: 'program' in options ? options.program : packagedProgram(),
    release: SKERRY_VERSION,
    platform: { os: os.platform(), arch: os.arch() },
    models: () => models.reportedModels(),
    isOnline: () => link.status.kind === 'online',
    confirm: (event) => tellAndWait(event, { device, outbox: store.outbox, pump, clock }),
    isAlive: async () => void (await status()),
    needSpace: () => models.makeSpace(),
    makeRoom,
    onGood: (schema) => store.dropCopies(schema),
    ...(options.observeUpdate === undefined ? {} : { observe: options.observeUpdate }),
  });

  // What is said about all of it.
  const capabilities = (): Capabilities => ({ ...describeDevice(description), selfUpdate: updater.capability });
  const report = (): Promise<Reported> =>
    takeReport({
      identity: hub.who.identity,
      store,
      hub,
      agentVersion: SKERRY_VERSION,
      capabilities: capabilities(),
      models: () => [...models.reportedModels(), ...updater.reported()],
      clock,
    });
  const reporter = new Reporter({ fleet, device, link, snapshot: report, clock, logger: syncLogger });
  const telemetry = new TelemetryReporter({
    device,
    recorder,
    health,
    agent,
    append: (payload) => store.outbox.append('telemetry', payload),
    clock,
    time: () => time.measured(),
    window: config.window,
    logger: logger.child({ room: 'metrics' }),
  });
  const status = async (): Promise<AgentStatus> => ({
    version: SKERRY_VERSION,
    pid: process.pid,
    startedAt,
    fleet,
    hub: hub.who.hub,
    link: link.status,
    reported: await report(),
  });
  const socket = socketPath(config);
  const server = createInferenceServer({
    dataPlane: runtime,
    feedback: recorder,
    requests,
    metricsText: createMetricsText({
      recorder,
      requests,
      dataPlane: runtime,
      health,
      outbox: () => store.outbox.stats(),
      link: () => link.status,
      build: () => ({ version: SKERRY_VERSION, node: process.version, runtime: `${description.name} ${description.version}` }),
    }),
    status,
    config: {
      tcp: { host: config.httpHost, port: config.httpPort },
      ...(socket === undefined ? {} : { unix: { path: socket } }),
      jsonElements: config.jsonElements,
    },
    agentVersion: SKERRY_VERSION,
    logger: logger.child({ room: 'serve' }),
  });

  // Who hears of whom.
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
    time,
    logger: syncLogger,
    handlers: {
      report: () => reporter.now(),
      flush: () => void telemetry.flush(),
      'stand-down': (cmd) => {
        if (cmd.bootId === store.bootId) link.standDown(fromErrorBody(cmd.error));
      },
      'fetch-refused': (cmd) => fetcher.refused(cmd),
    },
  });

  const connecting = new AbortController();
  let announcing: Announcement | undefined;
  let starting: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let broken = false;
  const isBroken = (): void => void (broken = true);
  void failed.then(isBroken);

  const start = async (): Promise<void> => {
    await runtime.start();
    await server.start();
    await witness.start();
    await models.start();
    await updater.start();
    await telemetry.start();
    await trust.start();
    await pump.start();
    await reporter.start();
    const self = { pid: process.pid, boot: store.boot, version: SKERRY_VERSION, startedAt, device, ...whereFound(server.address) };
    announcing = new Announcement(config.data, self, clock, logger);
    await announcing.start();
    events.emit({ kind: 'agent.started', detail: { version: SKERRY_VERSION, boot: store.boot, recovered: recovery !== undefined } });
    // DESIGN R2: predictions never wait for the network; the link begins once what is here serves, or shortly after.
    Promise.race([models.idle(), sleep(clock, HEAD_START, connecting.signal)])
      .then(() => (closing === undefined ? link.start() : undefined))
      .catch(() => undefined);
  };

  const close = async (): Promise<void> => {
    await starting?.catch(isBroken);
    connecting.abort();
    await announcing?.close();
    await withdraw(config.data).catch((cause: unknown) => logger.warn({ reason: asSkerryError(cause).message }, 'agent.json stays behind'));
    await server.close();
    await updater.close(broken ? 'failed' : 'asked');
    await models.close();
    await telemetry.close();
    await reporter.close();
    await trust.close();
    await desired.close();
    await events.settled();
    await pump.close();
    await link.close();
    await runtime.close();
    await witness.close();
    witnessFile?.close();
    await store.close();
  };

  return {
    device,
    get address() {
      return server.address;
    },
    failed,
    makesRoom,
    status,
    stuckThreads: () => runtime.stuckThreads(),
    abandonAll: () => runtime.abandonAll(),
    start: () => (starting ??= start()),
    close: () => (closing ??= close()),
  };
}
