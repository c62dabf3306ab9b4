import type { DataPlane } from '#agent/inference/contract.js';
import { foregroundClock } from '#shared/kernel/clock.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import { type Logger, silentLogger } from '#shared/kernel/logger.js';
import type { AccessLog } from './access-log.js';
import { Access } from './access/access.js';
import { guardedModels, guardedPredict, guardedRepository } from './access/model-guard.js';
import { AnswerLog } from './answer-log.js';
import { DEFAULT_SERVE_SETTINGS, type ServeAddress, type ServeConfig, type ServeSettings } from './config.js';
import type { Dialect, DialectDeps } from './dialect.js';
import { DIALECTS, SHARED_ROUTES } from './dialects.js';
import { distinctRoutes } from './distinct-routes.js';
import { Feedback, type FeedbackSink } from './feedback.js';
import type { HttpAnswer, HttpApi } from './http/exchange.js';
import { HttpTransport } from './http/http-transport.js';
import { InFlight } from './in-flight.js';
import { managementApi } from './management/management-api.js';
import { predictionPhases } from './predictions.js';
import { fleetRepository, type ModelRepository } from './repository.js';
import { requestPhases } from './request-phases.js';
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
  /** Dialects spoken; all there are when left out. */
  readonly dialects?: readonly Dialect[];
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

/** The local API: dialects and our own management, over HTTP on TCP and a Unix socket. It translates to the data plane and does nothing else. */
export function createInferenceServer(options: InferenceServerOptions): InferenceServer {
  const { config, logger, requests, access = new Access({ clock: foregroundClock }), tracer, accessLog } = options;
  const settings = { ...DEFAULT_SERVE_SETTINGS, ...config };
  const log = ServeLog.over(logger);
  const inFlight = new InFlight(settings.maxRequests);
  return new HttpTransport({
    apis: httpApis({ ...options, access, log }, settings),
    requests: requestPhases<HttpAnswer>({ requests, access, inFlight, tracer, accessLog, clock: foregroundClock, logger: log }),
    config,
    settings,
    logger,
  });
}

/** Every API over HTTP. Errors: as `distinctRoutes`. */
export function httpApis(
  {
    dataPlane,
    feedback: sink,
    metricsText,
    status,
    agentVersion,
    repository = fleetRepository(dataPlane),
    dialects = DIALECTS,
    access,
    tracer,
    log = ServeLog.over(silentLogger),
  }: Omit<InferenceServerOptions, 'config' | 'logger' | 'requests'> & { readonly log?: ServeLog },
  { jsonElements, sharedMemory: allowed }: Pick<ServeSettings, 'jsonElements' | 'sharedMemory'>,
): readonly (HttpApi & { readonly name: string })[] {
  const answers = new AnswerLog();
  const { run: predict } = predictionPhases({ dataPlane, answers, tracer });
  const sharedMemory = new SharedMemory(allowed);
  const traces = new TraceSettingsStore();
  const deps = guarded({ predict, models: dataPlane, repository, sharedMemory, log, traces, agentVersion, jsonElements }, access);
  const management = managementApi({ feedback: new Feedback({ dataPlane: deps.models, sink, answers }), metricsText, status });
  return distinctRoutes([...dialects.map(({ name, http }) => ({ name, ...http(deps) })), { name: 'skerry', ...management }], SHARED_ROUTES);
}

type Reached = DialectDeps & { readonly models: DialectDeps['models'] & Pick<DataPlane, 'targetOf'> };

/** What APIs reach, behind the rights of whoever asks: no API can forget to look at them. */
function guarded(deps: Reached, access: Access | undefined): Reached {
  if (access?.guards !== true) return deps;
  const { predict, models, repository } = deps;
  return {
    ...deps,
    predict: guardedPredict(predict, access),
    models: guardedModels(models, access),
    repository: guardedRepository(repository, access),
  };
}
