import type { DataPlane } from '#agent/inference/contract.js';
import { foregroundClock } from '#shared/kernel/clock.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import { type Logger, silentLogger } from '#shared/kernel/logger.js';
import type { AccessLog } from './access-log.js';
import { Access } from './access/access.js';
import { guardedModels, guardedPredict, guardedRepository } from './access/model-guard.js';
import { AllowedHosts } from './allowed-hosts.js';
import { AnswerLog } from './answer-log.js';
import { BodyMemory } from './body-memory.js';
import { DEFAULT_SERVE_SETTINGS, type ServeAddress, type ServeConfig, type ServeSettings } from './config.js';
import type { Dialect, DialectDeps } from './dialect.js';
import { openDialects, SHARED_ROUTES } from './dialects.js';
import { distinctRoutes } from './distinct-routes.js';
import { Feedback, type FeedbackSink } from './feedback.js';
import type { GrpcTransport } from './grpc/grpc-transport.js';
import type { HttpAnswer, HttpApi } from './http/exchange.js';
import { HttpTransport } from './http/http-transport.js';
import { InFlight } from './in-flight.js';
import { managementApi, metricsApi } from './management/management-api.js';
import { predictionPhases } from './predictions.js';
import { fleetRepository, type ModelRepository } from './repository.js';
import { type RequestDeps, requestPhases } from './request-phases.js';
import type { RequestSink } from './requests.js';
import { ServeLog } from './settings/log-settings.js';
import { TraceSettingsStore } from './settings/trace-settings.js';
import { SharedMemory } from './shared-memory/shared-memory.js';
import type { Tracer } from './tracing/tracer.js';

interface InferenceServerOptions {
  readonly dataPlane: DataPlane;
  readonly feedback: FeedbackSink;
  readonly requests: RequestSink;
  readonly metricsText: () => string | Promise<string>;
  readonly status: () => unknown;
  readonly config: ServeConfig;
  readonly agentVersion: string;
  readonly logger: Logger;
  /** Models that could serve here; those of a fleet's device when left out. */
  readonly repository?: ModelRepository;
  readonly dialects: readonly Dialect[];
  /** Who may do what; as without an access file when left out. */
  readonly access?: Access;
  /** Left out: nothing is traced. */
  readonly tracer?: Tracer | undefined;
  /** Left out: there is no access log. */
  readonly accessLog?: AccessLog | undefined;
}

export interface InferenceServer extends Service {
  readonly address: ServeAddress;
}

/** Dialects spoken; those of the table that are spoken by default when left out. */
type GivenOptions = Omit<InferenceServerOptions, 'dialects'> & Partial<Pick<InferenceServerOptions, 'dialects'>>;

/** The local API: dialects and our own management, over HTTP and gRPC. It translates to the data plane and does nothing else. */
export async function createInferenceServer({ dialects, ...options }: GivenOptions): Promise<InferenceServer> {
  return new LocalApi({ ...options, dialects: dialects ?? (await openDialects()) });
}

class LocalApi implements InferenceServer {
  readonly #options: InferenceServerOptions;
  readonly #settings: ServeSettings;
  readonly #reached: Reached;
  readonly #around: RequestDeps;
  readonly #http: HttpTransport;
  readonly #metrics: HttpTransport | undefined;
  #grpc: GrpcTransport | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: InferenceServerOptions) {
    const { config, logger, requests, access = new Access({ clock: foregroundClock }), tracer, accessLog } = options;
    this.#options = options;
    this.#settings = { ...DEFAULT_SERVE_SETTINGS, ...config };
    const log = ServeLog.over(logger);
    this.#reached = reached({ ...options, access, log }, this.#settings);
    // One count of what is under way for all transports.
    const inFlight = new InFlight(this.#settings.maxRequests);
    this.#around = { requests, access, inFlight, tracer, accessLog, clock: foregroundClock, logger: log };
    const parts = {
      requests: requestPhases<HttpAnswer>(this.#around),
      settings: this.#settings,
      memory: this.#reached.deps.memory,
      logger,
    };
    const hosts = this.#hosts(config.tcp?.host, access);
    this.#http = new HttpTransport({ ...parts, hosts, apis: httpApis(options, this.#settings, this.#reached), config });
    if (config.metrics === undefined) return;
    const apis = [{ name: 'skerry', ...metricsApi(options.metricsText) }];
    this.#metrics = new HttpTransport({ ...parts, hosts: this.#hosts(config.metrics.host, access), apis, config: { tcp: config.metrics } });
  }

  #hosts(host: string | undefined, { guards }: Pick<Access, 'guards'>): AllowedHosts | undefined {
    return host === undefined ? undefined : AllowedHosts.of({ host, guarded: guards, names: this.#options.config.allowedHosts ?? [] });
  }

  get address(): ServeAddress {
    return { ...this.#http.address, grpc: this.#grpc?.address, metrics: this.#metrics?.address.tcp };
  }

  async start(): Promise<void> {
    const { grpc } = this.#options.config;
    try {
      await this.#http.start();
      await this.#metrics?.start();
      if (grpc === undefined) return;
      this.#grpc = await this.#openGrpc(grpc);
      await this.#grpc.start();
    } catch (cause) {
      await this.close();
      throw cause;
    }
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#http.close(), this.#metrics?.close(), this.#grpc?.close()]).then(() => undefined);
    return this.#closing;
  }

  async #openGrpc(config: NonNullable<ServeConfig['grpc']>): Promise<GrpcTransport> {
    const { logger, dialects, dataPlane, access } = this.#options;
    // What it takes to load is in docs/PROTOCOL.md; devices without a gRPC port do not pay for it.
    const { openGrpc } = await import('./grpc/open-grpc.js');
    return openGrpc({
      dialects,
      dialectDeps: this.#reached.deps,
      models: dataPlane,
      requests: requestPhases<Buffer>(this.#around),
      memory: this.#reached.deps.memory,
      // A certificate names the server.
      hosts: config.tls === undefined ? this.#hosts(config.host, access ?? { guards: false }) : undefined,
      config,
      settings: this.#settings,
      logger,
    });
  }
}

type ApiOptions = Omit<InferenceServerOptions, 'config' | 'logger' | 'requests'>;

type ReachedSettings = Pick<ServeSettings, 'jsonElements' | 'sharedMemory' | 'vertex' | 'bodyMemory'>;

/** Every API over HTTP. Errors: as `distinctRoutes`. */
export function httpApis(
  options: ApiOptions,
  settings: ReachedSettings,
  { deps, answers } = reached(options, settings),
): readonly (HttpApi & { readonly name: string })[] {
  const { feedback: sink, metricsText, status, dialects } = options;
  const management = managementApi({ feedback: new Feedback({ dataPlane: deps.models, sink, answers }), metricsText, status });
  return distinctRoutes([...dialects.map(({ name, http }) => ({ name, ...http(deps) })), { name: 'skerry', ...management }], SHARED_ROUTES);
}

type ReachedDeps = DialectDeps & { readonly models: DialectDeps['models'] & Pick<DataPlane, 'targetOf'> };

/** What the APIs of all transports reach together: an answer of one can be judged over another. */
interface Reached {
  readonly deps: ReachedDeps;
  readonly answers: AnswerLog;
}

function reached(
  {
    dataPlane,
    agentVersion,
    repository = fleetRepository(dataPlane),
    access,
    tracer,
    log = ServeLog.over(silentLogger),
  }: ApiOptions & { readonly log?: ServeLog },
  { jsonElements, sharedMemory: allowed, vertex, bodyMemory }: ReachedSettings,
): Reached {
  const answers = new AnswerLog();
  const { run: predict } = predictionPhases({ dataPlane, answers, tracer });
  const sharedMemory = new SharedMemory(allowed);
  const memory = new BodyMemory(bodyMemory);
  const traces = new TraceSettingsStore();
  const deps = guarded(
    { predict, models: dataPlane, repository, sharedMemory, memory, log, traces, agentVersion, jsonElements, vertex },
    access,
  );
  return { deps, answers };
}

/** What APIs reach, behind the rights of whoever asks: no API can forget to look at them. */
function guarded(deps: ReachedDeps, access: Access | undefined): ReachedDeps {
  if (access?.guards !== true) return deps;
  const { predict, models, repository } = deps;
  return {
    ...deps,
    predict: guardedPredict(predict, access),
    models: guardedModels(models, access),
    repository: guardedRepository(repository, access),
  };
}
