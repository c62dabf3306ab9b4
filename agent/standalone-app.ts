import os from 'node:os';
import { type AccessStatus, type Guarding, type GuardingContext, openGuarding } from './assembly/guarding.js';
import { openWatching, type Watching, type WatchingContext } from './assembly/watching.js';
import { describeRuntime } from './capabilities.js';
import { createInferenceRuntime, type InferenceRuntime } from './inference/runtime.js';
import { DEFAULT_INFERENCE_SETTINGS, type InferenceSettings } from './inference/settings.js';
import { HealthMonitor } from './metrics/health.js';
import { MetricsRecorder } from './metrics/recorder.js';
import { RequestCounts } from './metrics/request-counts.js';
import { createMetricsText } from './metrics/text.js';
import type { ServeAddress, ServeConfig } from './serve/config.js';
import type { RepositoryControl } from './serve/repository.js';
import { openDialects } from './serve/dialects.js';
import { createInferenceServer, type InferenceServer } from './serve/server.js';
import { FolderRepository } from './standalone/folder-repository.js';
import type { ModelSource } from './standalone/layouts/layout.js';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { Parts, type Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Millis } from '#shared/kernel/time.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';

export interface StandaloneOptions {
  readonly source: ModelSource;
  /** Who decides what is loaded after the start; nobody when left out. */
  readonly control?: RepositoryControl;
  /** Models to load at the start. Left out: none where clients load them, else all. */
  readonly load?: readonly string[] | 'all';
  /** Time between looks at the folder. */
  readonly lookEvery?: Millis;
  readonly serve: ServeConfig;
  /** Names of the dialects spoken; all when left out. */
  readonly dialects?: readonly string[];
  readonly inference?: Partial<InferenceSettings>;
  /** Who may use it, and what is told of each request; everybody and nothing when left out. */
  readonly settings?: GuardingContext['config'] & WatchingContext['config'];
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** What serves a folder of models, without a hub and without an identity. */
export interface Standalone extends Service {
  readonly address: ServeAddress;
  readonly repository: FolderRepository;
  readonly runtime: InferenceRuntime;
  readonly status: () => StandaloneStatus;
}

interface StandaloneStatus {
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  /** There is no hub, and nobody signed what is served. */
  readonly mode: 'standalone';
  readonly signed: false;
  readonly models: string;
  readonly control: RepositoryControl;
  readonly access: AccessStatus;
}

/** Puts a server of a folder together and gives it unstarted. */
export function openStandalone(options: StandaloneOptions): Promise<Standalone> {
  const { logger, clock = systemClock } = options;
  return Parts.open(async (parts) => {
    const recorder = new MetricsRecorder();
    const runtime = parts.holds(
      createInferenceRuntime({
        store: memoryStore(),
        recorder,
        logger: logger.child({ room: 'inference' }),
        clock,
        ...(options.inference === undefined ? {} : { settings: options.inference }),
      }),
    );
    const repository = openRepository(options, runtime);
    const health = new HealthMonitor({ diskUsed: () => Promise.resolve(0), otherMemory: () => runtime.residentBytes() });
    const { settings } = options;
    const guarding = settings === undefined ? undefined : await openGuarding(parts, { config: settings, clock, logger });
    const watching =
      settings === undefined ? undefined : await openWatching(parts, { config: settings, clock, logger, instance: os.hostname() });
    const status = statusOf(options, new Date(clock.now()).toISOString(), guarding);
    const server = await openServer(options, { runtime, recorder, repository, status, health, guarding, watching });
    parts.onStart(() => runtime.start());
    parts.starts(server, repository);
    parts.onStart(() => health.start());
    parts.onClose(() => health.close());
    return {
      get address() {
        return server.address;
      },
      repository,
      runtime,
      status,
      start: () => parts.start(),
      close: () => parts.close(),
    };
  });
}

function openRepository(
  { source, control, load, lookEvery, inference, clock, logger }: StandaloneOptions,
  runtime: InferenceRuntime,
): FolderRepository {
  return new FolderRepository({
    source,
    control: control ?? 'none',
    load: load ?? (control === 'explicit' ? [] : 'all'),
    runtime,
    ...(lookEvery === undefined ? {} : { lookEvery }),
    ...(clock === undefined ? {} : { clock }),
    instances: inference?.instances ?? DEFAULT_INFERENCE_SETTINGS.instances,
    logger: logger.child({ room: 'standalone' }),
  });
}

function statusOf(
  { source, control = 'none' }: StandaloneOptions,
  startedAt: string,
  guarding: Guarding | undefined,
): () => StandaloneStatus {
  return () => ({
    version: SKERRY_VERSION,
    pid: process.pid,
    startedAt,
    mode: 'standalone',
    signed: false,
    models: source.what,
    control,
    access: guarding?.status() ?? { kind: 'open' },
  });
}

interface ServerNeeds {
  readonly runtime: InferenceRuntime;
  readonly recorder: MetricsRecorder;
  readonly repository: FolderRepository;
  readonly status: () => StandaloneStatus;
  readonly health: HealthMonitor;
  readonly guarding: Guarding | undefined;
  readonly watching: Watching | undefined;
}

async function openServer({ logger, serve: config, dialects }: StandaloneOptions, needs: ServerNeeds): Promise<InferenceServer> {
  const { runtime, recorder, repository, status, health, guarding, watching } = needs;
  const requests = new RequestCounts();
  const description = await describeRuntime(runtime, logger);
  const build = { version: SKERRY_VERSION, node: process.version, runtime: `${description.name} ${description.version}` };
  return createInferenceServer({
    dataPlane: runtime,
    feedback: recorder,
    requests,
    metricsText: createMetricsText({
      recorder,
      requests,
      dataPlane: runtime,
      memory: () => runtime.memory(),
      health,
      build: () => build,
      more: (dataPlane) => watching?.families(dataPlane) ?? [],
    }),
    status,
    config,
    agentVersion: SKERRY_VERSION,
    logger: logger.child({ room: 'serve' }),
    repository,
    dialects: await openDialects(dialects),
    ...(guarding === undefined ? {} : { access: guarding.access }),
    tracer: watching?.tracer,
    accessLog: watching?.accessLog,
  });
}

/** What was measured here is forgotten at the end. */
function memoryStore(): { get(key: string): Promise<string | undefined>; set(key: string, value: string): Promise<void> } {
  const entries = new Map<string, string>();
  return {
    get: async (key) => entries.get(key),
    set: async (key, value) => {
      entries.set(key, value);
    },
  };
}
