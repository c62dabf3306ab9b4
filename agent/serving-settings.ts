import { resolve } from 'node:path';
import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { type SettingEntry, wholeNumber } from '#shared/kernel/settings.js';
import { usableMemory } from '#shared/kernel/usable-memory.js';
import { ISOLATION_MODES } from './inference/decide/isolation.js';
import type { InferenceSettings } from './inference/settings.js';
import { bytes, file, headers, hosts, minutesAtMost, names, origins, ratio, route } from './setting-types.js';

const share = z.string().regex(/^(100|[1-9]\d?)%$/, 'a size such as "2GiB", or a part of the memory such as "50%"');
const modelMemory = z.union([z.literal('none'), share, bytes]);

/** Settings of what predicts and answers clients, with a hub and without one. */
export const servingShape = {
  httpHost: z.string().min(1).max(253),
  httpPort: wholeNumber(0, 65_535),
  vertexHealthRoute: route.optional(),
  vertexPredictRoute: route.optional(),
  socket: z.string().max(4096),
  grpcHost: z.string().min(1).max(253),
  grpcPort: wholeNumber(0, 65_535).optional(),
  grpcTlsCert: file.optional(),
  grpcTlsKey: file.optional(),
  grpcTlsClientCa: file.optional(),
  grpcStreams: wholeNumber(1, 100_000),
  jsonElements: wholeNumber(1, LIMITS.tensorElements),
  accessFile: file.optional(),
  corsOrigins: origins.optional(),
  allowedHosts: hosts.optional(),
  bodyLimit: bytes.refine((value) => value >= 1024, 'at least 1024 bytes'),
  bodyMemory: bytes.refine((value) => value >= 1024, 'at least 1024 bytes'),
  maxConnections: wholeNumber(1, 1_000_000),
  maxRequests: wholeNumber(1, 1_000_000),
  requestTimeout: minutesAtMost(60).refine((value) => value >= 1_000, 'at least one second'),
  idleTimeout: minutesAtMost(60 * 24).refine((value) => value >= 1_000, 'at least one second'),
  sharedMemory: z.enum(['off', 'on']),
  accessLog: file,
  metricsPort: z.union([z.literal('none'), wholeNumber(0, 65_535)]),
  tritonMetrics: z.enum(['on', 'off']),
  traceEndpoint: z
    .url({ protocol: /^https?$/ })
    .max(1024)
    .optional(),
  traceHeaders: headers.optional(),
  traceRatio: ratio,
  traceService: z.string().min(1).max(255),
  dialects: names.optional(),
  instances: wholeNumber(1, 64),
  threads: wholeNumber(1, 64),
  isolation: z.enum(ISOLATION_MODES),
  modelMemory,
  idleUnload: z.union([z.literal('never'), minutesAtMost(60 * 24 * 30).refine((value) => value >= 1_000, 'at least one second')]),
  predictionLimit: minutesAtMost(60 * 24).refine((value) => value >= 1_000, 'at least one second'),
  loadLimit: minutesAtMost(60 * 24).refine((value) => value >= 1_000, 'at least one second'),
};

const servingSchema = z.strictObject(servingShape);
export type ServingConfig = z.infer<typeof servingSchema>;

export const SERVING_SETTINGS: Readonly<Record<keyof ServingConfig, SettingEntry>> = {
  httpHost: {
    flag: 'http-host',
    value: 'host',
    env: 'SKERRY_AGENT_HTTP_HOST',
    default: '127.0.0.1',
    doc: 'Address that the local API listens on.',
  },
  httpPort: {
    flag: 'http-port',
    value: 'port',
    env: 'SKERRY_AGENT_HTTP_PORT',
    platformEnv: 'AIP_HTTP_PORT',
    default: 7490,
    doc: 'Port of the local API. 0 picks a free port.',
  },
  grpcHost: {
    flag: 'grpc-host',
    value: 'host',
    env: 'SKERRY_AGENT_GRPC_HOST',
    default: '127.0.0.1',
    doc: 'Address that gRPC listens on, where it has a port.',
  },
  grpcPort: {
    flag: 'grpc-port',
    value: 'port',
    env: 'SKERRY_AGENT_GRPC_PORT',
    doc: 'Port of the local API over gRPC. 0 picks a free port. (default: no gRPC)',
  },
  grpcTlsCert: {
    flag: 'grpc-tls-cert',
    value: 'file',
    env: 'SKERRY_AGENT_GRPC_TLS_CERT',
    doc: 'PEM file with the certificate of the gRPC port. It is read again every minute. (default: no TLS)',
  },
  grpcTlsKey: {
    flag: 'grpc-tls-key',
    value: 'file',
    env: 'SKERRY_AGENT_GRPC_TLS_KEY',
    doc: 'PEM file with the private key of the certificate of the gRPC port.',
  },
  grpcTlsClientCa: {
    flag: 'grpc-tls-client-ca',
    value: 'file',
    env: 'SKERRY_AGENT_GRPC_TLS_CLIENT_CA',
    doc: 'PEM file with the CA whose certificates gRPC clients must have. (default: clients need none)',
  },
  grpcStreams: {
    flag: 'grpc-streams',
    value: 'n',
    env: 'SKERRY_AGENT_GRPC_STREAMS',
    default: 256,
    doc: 'Maximum number of calls in flight on one gRPC connection.',
  },
  vertexHealthRoute: {
    flag: 'vertex-health-route',
    value: 'path',
    env: 'SKERRY_AGENT_VERTEX_HEALTH_ROUTE',
    platformEnv: 'AIP_HEALTH_ROUTE',
    doc: 'Path at which Vertex AI asks whether the models answer. Vertex AI sets AIP_HEALTH_ROUTE, and AIP_HTTP_PORT for the port. (default: none)',
  },
  vertexPredictRoute: {
    flag: 'vertex-predict-route',
    value: 'path',
    env: 'SKERRY_AGENT_VERTEX_PREDICT_ROUTE',
    platformEnv: 'AIP_PREDICT_ROUTE',
    doc: 'Path at which Vertex AI asks for predictions. Vertex AI sets AIP_PREDICT_ROUTE. (default: none)',
  },
  socket: {
    flag: 'socket',
    value: 'path',
    env: 'SKERRY_AGENT_SOCKET',
    default: 'agent.sock',
    doc: 'Unix socket of the local API, relative to the data folder. "none" disables it.',
  },
  jsonElements: {
    flag: 'json-elements',
    value: 'n',
    env: 'SKERRY_AGENT_JSON_ELEMENTS',
    default: LIMITS.jsonElements,
    doc: 'Maximum number of tensor elements in a JSON request or answer of the local API. Larger tensors must be binary.',
  },
  accessFile: {
    flag: 'access-file',
    value: 'file',
    env: 'SKERRY_AGENT_ACCESS_FILE',
    doc: 'YAML or JSON file that says who may use the local API. It is read again when it changes.',
  },
  corsOrigins: {
    flag: 'cors-origins',
    value: 'origins',
    env: 'SKERRY_AGENT_CORS_ORIGINS',
    doc: 'Origins, separated by commas, whose web pages may call the local API. "*" allows all.',
  },
  allowedHosts: {
    flag: 'allowed-hosts',
    value: 'names',
    env: 'SKERRY_AGENT_ALLOWED_HOSTS',
    doc: 'Names, separated by commas, under which clients may reach the local API on loopback where no access file is set. Addresses and localhost always may.',
  },
  bodyLimit: {
    flag: 'body-limit',
    value: 'bytes',
    env: 'SKERRY_AGENT_BODY_LIMIT',
    default: LIMITS.inferBodyBytes,
    doc: 'Maximum size of a request body.',
  },
  bodyMemory: {
    flag: 'body-memory',
    value: 'bytes',
    env: 'SKERRY_AGENT_BODY_MEMORY',
    default: LIMITS.bodyMemoryBytes,
    doc: 'Maximum memory for the bodies of all requests in flight. Further ones get 503.',
  },
  maxConnections: {
    flag: 'max-connections',
    value: 'n',
    env: 'SKERRY_AGENT_MAX_CONNECTIONS',
    default: 1024,
    doc: 'Maximum number of connections to the local API.',
  },
  maxRequests: {
    flag: 'max-requests',
    value: 'n',
    env: 'SKERRY_AGENT_MAX_REQUESTS',
    default: 1024,
    doc: 'Maximum number of requests in flight. Further ones get 503. Health and metrics are answered always.',
  },
  requestTimeout: {
    flag: 'request-timeout',
    value: 'duration',
    env: 'SKERRY_AGENT_REQUEST_TIMEOUT',
    default: '30s',
    doc: 'Time within which a whole request must arrive.',
  },
  idleTimeout: {
    flag: 'idle-timeout',
    value: 'duration',
    env: 'SKERRY_AGENT_IDLE_TIMEOUT',
    default: '2m',
    doc: 'Time after which an idle connection is closed.',
  },
  sharedMemory: {
    flag: 'shared-memory',
    value: 'off|on',
    env: 'SKERRY_AGENT_SHARED_MEMORY',
    default: 'off',
    doc: 'Whether clients of the local API may name segments of shared memory, which the agent reads and writes (Linux).',
  },
  accessLog: {
    flag: 'access-log',
    value: 'file',
    env: 'SKERRY_AGENT_ACCESS_LOG',
    default: 'none',
    doc: 'File that gets one JSON line for each request to the local API. "stdout" writes to the standard output, "none" disables it.',
  },
  metricsPort: {
    flag: 'metrics-port',
    value: 'port',
    env: 'SKERRY_AGENT_METRICS_PORT',
    default: 'none',
    doc: 'Port that serves /metrics alone, beside the local API. 0 picks a free port, "none" opens none. Triton has 8002.',
  },
  tritonMetrics: {
    flag: 'triton-metrics',
    value: 'on|off',
    env: 'SKERRY_AGENT_TRITON_METRICS',
    default: 'off',
    doc: 'Whether /metrics also has the names of Triton (nv_inference_...), for existing dashboards.',
  },
  traceEndpoint: {
    flag: 'trace-endpoint',
    value: 'url',
    env: 'SKERRY_AGENT_TRACE_ENDPOINT',
    doc: 'URL of an OpenTelemetry collector (OTLP over HTTP) that gets a trace of each request.',
  },
  traceHeaders: {
    flag: 'trace-headers',
    value: 'headers',
    env: 'SKERRY_AGENT_TRACE_HEADERS',
    doc: 'Headers for the collector: name=value, separated by commas.',
  },
  traceRatio: {
    flag: 'trace-ratio',
    value: 'ratio',
    env: 'SKERRY_AGENT_TRACE_RATIO',
    default: 1,
    doc: 'Share of the requests without a trace of their own that are traced, from 0 to 1.',
  },
  traceService: {
    flag: 'trace-service',
    value: 'name',
    env: 'SKERRY_AGENT_TRACE_SERVICE',
    default: 'skerry-agent',
    doc: 'Name of this service in traces.',
  },
  dialects: {
    flag: 'dialects',
    value: 'names',
    env: 'SKERRY_AGENT_DIALECTS',
    doc: 'Protocols that the local API speaks, separated by commas, such as oip,mlflow. (default: all)',
  },
  instances: {
    flag: 'instances',
    value: 'n',
    env: 'SKERRY_AGENT_INSTANCES',
    default: 1,
    doc: 'Instances (workers) of each model in service.',
  },
  threads: { flag: 'threads', value: 'n', env: 'SKERRY_AGENT_THREADS', default: 1, doc: 'Threads that each instance computes with.' },
  isolation: {
    flag: 'isolation',
    value: 'mode',
    env: 'SKERRY_AGENT_ISOLATION',
    default: 'auto',
    doc: 'Where models run: "process" gives each model its own process, "thread" only those that crashed, "auto" decides by the memory.',
  },
  modelMemory: {
    flag: 'model-memory',
    value: 'bytes',
    env: 'SKERRY_AGENT_MODEL_MEMORY',
    default: 'none',
    doc: 'Memory that all loaded models may take together, such as 2GiB, or 50% of the memory. Beyond it, the least recently used are unloaded until a request needs them.',
  },
  idleUnload: {
    flag: 'idle-unload',
    value: 'duration',
    env: 'SKERRY_AGENT_IDLE_UNLOAD',
    default: 'never',
    doc: 'Time without a request after which a model is unloaded. The next request loads it again and waits for that.',
  },
  predictionLimit: {
    flag: 'prediction-limit',
    value: 'duration',
    env: 'SKERRY_AGENT_PREDICTION_LIMIT',
    default: '2m',
    doc: 'Time after which a prediction counts as stuck, unless its caller allows more.',
  },
  loadLimit: {
    flag: 'load-limit',
    value: 'duration',
    env: 'SKERRY_AGENT_LOAD_LIMIT',
    default: '10m',
    doc: 'Time after which loading a model, or one of its golden samples, counts as stuck.',
  },
};

/** What the data plane is told. */
export function inferenceSettings(config: ServingConfig): Partial<InferenceSettings> {
  const { instances, threads, isolation, predictionLimit, loadLimit, idleUnload } = config;
  return {
    instances,
    threads,
    isolation,
    predictionLimit,
    loadLimit,
    modelMemory: modelBytes(config.modelMemory, usableMemory()),
    idleUnload: idleUnload === 'never' ? undefined : idleUnload,
  };
}

function modelBytes(setting: ServingConfig['modelMemory'], memoryBytes: number): number | undefined {
  if (setting === 'none') return undefined;
  return typeof setting === 'number' ? setting : Math.floor((memoryBytes * Number.parseInt(setting, 10)) / 100);
}

type ServeLimits = Pick<
  ServingConfig,
  'jsonElements' | 'bodyLimit' | 'bodyMemory' | 'maxConnections' | 'maxRequests' | 'requestTimeout' | 'idleTimeout' | 'grpcStreams'
> & {
  readonly corsOrigins: readonly string[];
  readonly allowedHosts: readonly string[];
  readonly vertex: { readonly health?: string; readonly predict?: string };
  readonly sharedMemory: boolean;
  readonly metrics?: { readonly host: string; readonly port: number };
};

/** What the local API is told of its limits, and of what it serves beside itself. */
export function serveLimits(config: ServingConfig): ServeLimits {
  const {
    jsonElements,
    bodyLimit,
    bodyMemory,
    maxConnections,
    maxRequests,
    requestTimeout,
    idleTimeout,
    grpcStreams,
    corsOrigins = [],
    allowedHosts = [],
    httpHost,
    metricsPort,
    vertexHealthRoute: health,
    vertexPredictRoute: predict,
  } = config;
  const vertex = { ...(health === undefined ? {} : { health }), ...(predict === undefined ? {} : { predict }) };
  const sharedMemory = config.sharedMemory === 'on';
  const metrics = metricsPort === 'none' ? {} : { metrics: { host: httpHost, port: metricsPort } };
  return {
    jsonElements,
    bodyLimit,
    bodyMemory,
    maxConnections,
    maxRequests,
    requestTimeout,
    idleTimeout,
    grpcStreams,
    corsOrigins,
    allowedHosts,
    vertex,
    sharedMemory,
    ...metrics,
  };
}

/** Longest path of a Unix socket that every system takes. */
const SOCKET_PATH_BYTES = 103;

/** Path of the local API's socket; `undefined` when there is to be none, or the path would be too long for one. */
export function socketPath(
  config: Pick<ServingConfig, 'socket'> & { readonly data: string },
  platform: string = process.platform,
): string | undefined {
  // Node knows named pipes on Windows instead, which every user of the machine may open: there the API is on loopback alone.
  if (platform === 'win32' || config.socket === 'none' || config.socket === '') return undefined;
  const path = resolve(config.data, config.socket);
  return Buffer.byteLength(path) > SOCKET_PATH_BYTES ? undefined : path;
}
