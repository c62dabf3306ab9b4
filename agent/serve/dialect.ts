import type { DataPlane, InferReply } from '#agent/inference/contract.js';
import type { BodyMemory } from './body-memory.js';
import type { VertexRoutes } from './config.js';
import type { GrpcApi } from './grpc/grpc-api.js';
import type { HttpApi } from './http/exchange.js';
import type { PredictRequest } from './predictions.js';
import type { ModelRepository } from './repository.js';
import type { ServeLog } from './settings/log-settings.js';
import type { TraceSettingsStore } from './settings/trace-settings.js';
import type { SharedMemory } from './shared-memory/shared-memory.js';

/** What a dialect translates to. */
export interface DialectDeps {
  /** A prediction, with all that stands before and behind it. */
  readonly predict: (request: PredictRequest) => Promise<InferReply>;
  readonly models: Pick<DataPlane, 'list' | 'find' | 'routed' | 'statistics'>;
  readonly repository: ModelRepository;
  readonly sharedMemory: SharedMemory;
  /** What bodies of requests take. */
  readonly memory: BodyMemory;
  /** What the local API logs. */
  readonly log: Pick<ServeLog, 'settings' | 'change'>;
  readonly traces: TraceSettingsStore;
  readonly agentVersion: string;
  /** Tensor elements that a request, or an answer, may carry as JSON. */
  readonly jsonElements: number;
  readonly vertex: VertexRoutes;
}

/** A way in which clients ask for predictions: it turns their requests into the data plane's and the answers back, and does nothing else. */
export interface Dialect {
  /** Its name in logs and metrics. */
  readonly name: string;
  readonly http: (deps: DialectDeps) => HttpApi;
  /** Imports what it needs for gRPC, which most devices do not use; left out where the dialect has none. */
  readonly grpc?: () => Promise<(deps: DialectDeps) => GrpcApi>;
}
