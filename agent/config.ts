import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { ISOLATION_MODES } from './inference/decide/isolation.js';
import { durationSchema } from '#shared/kernel/duration.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import {
  loadSettings,
  type SettingEntry,
  type SettingSources,
  type SettingTable,
  wholeNumber,
  xdgFolder,
} from '#shared/kernel/settings.js';

const BYTE_UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };
const bytes = z
  .union([z.int(), z.string().regex(/^\d{1,15}([KMGT](iB)?)?$/, 'a number of bytes such as "512M" or "4GiB"')])
  .transform((value) => {
    if (typeof value === 'number') return value;
    const [, digits, unit] = /^(\d+)([KMGT]?)/.exec(value) ?? [];
    return Number(digits) * (BYTE_UNITS[unit ?? ''] ?? 1);
  })
  .pipe(z.int().min(0));
const file = z.string().min(1).max(4096);
const minutesAtMost = (max: number): z.ZodType<number> => durationSchema.refine((value) => value <= max * 60_000, `at most ${max} minutes`);

/** Origins as browsers write them (RFC 6454, 6.2), or `*`. */
const origins = z
  .string()
  .max(4096)
  .transform((text) => text.split(',').map((one) => one.trim()))
  .refine(
    (list) => list.every((one) => one === '*' || (URL.canParse(one) && new URL(one).origin === one)),
    'origins such as "https://app.example", or "*"',
  );

/** Headers as OTEL_EXPORTER_OTLP_HEADERS has them: `name=value`, separated by commas. */
const headers = z
  .string()
  .max(4096)
  .regex(/^[\w-]+=[^,\r\n]*(,[\w-]+=[^,\r\n]*)*$/, 'headers such as "api-key=secret,tenant=lab"')
  .transform((text) =>
    Object.fromEntries(text.split(',').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1).trim()])),
  );
const ratio = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d(\.\d{1,9})?$/)
      .transform(Number),
  ])
  .refine((value) => value >= 0 && value <= 1, 'a number from 0 to 1');
/** Names, separated by commas. */
const names = z
  .string()
  .max(1024)
  .transform((text) => text.split(',').map((one) => one.trim()))
  .refine((list) => list.every((one) => /^[a-z0-9-]+$/.test(one)), 'names separated by commas');

/** A path of the local API; a segment that begins with a colon would stand for any. */
const route = z
  .string()
  .max(1024)
  .regex(/^(?:\/[^/:?#%\s][^/?#%\s]*)+$/, 'a path such as "/predict"');

const agentConfigSchema = z.strictObject({
  data: file,
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
  predictionLimit: minutesAtMost(60 * 24).refine((value) => value >= 1_000, 'at least one second'),
  loadLimit: minutesAtMost(60 * 24).refine((value) => value >= 1_000, 'at least one second'),
  bake: minutesAtMost(60 * 24 * 30),
  maxBoots: wholeNumber(1, 1_000),
  updateBake: minutesAtMost(60 * 24),
  updateAlive: minutesAtMost(60).refine((value) => value >= 1_000, 'at least one second'),
  diskBudget: bytes,
  diskReserve: bytes,
  outboxRecords: wholeNumber(10, 10_000_000),
  outboxBytes: bytes,
  window: minutesAtMost(60 * 24).refine((value) => value >= 1_000, 'at least one second'),
  keepalive: minutesAtMost(5).refine((value) => value >= 5_000, 'at least five seconds'),
  reconnectMax: minutesAtMost(60).refine((value) => value >= 100, 'at least 100ms'),
  hub: z
    .url({ protocol: /^(https?|mqtts?|wss?)$/ })
    .max(1024)
    .optional(),
  caFile: file.optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']),
});
/** Every setting of an agent, complete. Durations in milliseconds, sizes in bytes. */
export type AgentConfig = z.infer<typeof agentConfigSchema>;
export type AgentSettingKey = keyof AgentConfig;

/** The settings as one table: the command line, the file, the environment and the documentation read it. All are read once, at the start. */
export const AGENT_SETTINGS: Readonly<Record<AgentSettingKey, SettingEntry>> = {
  data: {
    flag: 'data',
    value: 'folder',
    env: 'SKERRY_AGENT_DATA',
    doc: 'Folder for everything the agent keeps. (default: skerry/agent in the XDG data folder)',
  },
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
    doc: 'Maximum memory for the bodies of all HTTP requests in flight. Further ones get 503.',
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
  bake: {
    flag: 'bake',
    value: 'duration',
    env: 'SKERRY_AGENT_BAKE',
    default: '60s',
    doc: 'Time that a new version must serve without failing before it is kept.',
  },
  maxBoots: {
    flag: 'max-boots',
    value: 'n',
    env: 'SKERRY_AGENT_MAX_BOOTS',
    default: 3,
    doc: 'Number of agent starts that a new version may crash before it is quarantined.',
  },
  updateBake: {
    flag: 'update-bake',
    value: 'duration',
    env: 'SKERRY_AGENT_UPDATE_BAKE',
    default: '2m',
    doc: 'Time that a new agent release must run, connected to the hub, before it is kept.',
  },
  updateAlive: {
    flag: 'update-alive',
    value: 'duration',
    env: 'SKERRY_AGENT_UPDATE_ALIVE',
    default: '2m',
    doc: 'Maximum time that a new agent release may take to start, or hang, before it is stopped.',
  },
  diskBudget: {
    flag: 'disk-budget',
    value: 'bytes',
    env: 'SKERRY_AGENT_DISK_BUDGET',
    default: '4GiB',
    doc: 'Maximum size of the models on the disk.',
  },
  diskReserve: {
    flag: 'disk-reserve',
    value: 'bytes',
    env: 'SKERRY_AGENT_DISK_RESERVE',
    default: '16MiB',
    doc: 'Disk space that downloads leave free.',
  },
  outboxRecords: {
    flag: 'outbox-records',
    value: 'n',
    env: 'SKERRY_AGENT_OUTBOX_RECORDS',
    default: 10_000,
    doc: 'Maximum number of records in the outbox, which holds reports while the hub is unreachable.',
  },
  outboxBytes: {
    flag: 'outbox-bytes',
    value: 'bytes',
    env: 'SKERRY_AGENT_OUTBOX_BYTES',
    default: '32MiB',
    doc: 'Maximum size of the outbox.',
  },
  window: { flag: 'window', value: 'duration', env: 'SKERRY_AGENT_WINDOW', default: '60s', doc: 'Length of a measurement window.' },
  keepalive: { flag: 'keepalive', value: 'duration', env: 'SKERRY_AGENT_KEEPALIVE', default: '45s', doc: 'MQTT keepalive interval.' },
  reconnectMax: {
    flag: 'reconnect-max',
    value: 'duration',
    env: 'SKERRY_AGENT_RECONNECT_MAX',
    default: '60s',
    doc: 'Maximum delay between attempts to connect to the broker.',
  },
  hub: {
    flag: 'hub',
    value: 'url',
    env: 'SKERRY_AGENT_HUB',
    doc: 'URL of the hub or of its broker (mqtt, mqtts, ws, wss). Tried before the addresses from enrolment.',
  },
  caFile: {
    flag: 'ca-file',
    value: 'file',
    env: 'SKERRY_AGENT_CA_FILE',
    doc: 'PEM file with the CA that issued the certificates of hub and broker.',
  },
  logLevel: {
    flag: 'log-level',
    value: 'level',
    env: 'SKERRY_AGENT_LOG_LEVEL',
    default: 'info',
    doc: 'Lowest level that is logged: debug, info, warn or error.',
  },
};

export type ConfigSources = SettingSources<AgentSettingKey>;

/** The settings of an agent from flags, environment, `agent.yaml` and defaults. `CONFIG_INVALID` lists every bad one with its source. */
export async function loadAgentConfig(sources: ConfigSources): Promise<AgentConfig> {
  const data = dataFolder(sources);
  const rules = { schema: agentConfigSchema, table: settingEntries(), usualFile: join(data, 'agent.yaml'), known: { data } };
  const config = await loadSettings(rules, sources);
  return { ...config, data: resolve(config.data) };
}

/** Settings that say nothing where no hub is. All others are settings of `serve` too. */
const OF_A_FLEET: ReadonlySet<AgentSettingKey> = new Set<AgentSettingKey>([
  'bake',
  'maxBoots',
  'updateBake',
  'updateAlive',
  'diskBudget',
  'diskReserve',
  'outboxRecords',
  'outboxBytes',
  'window',
  'keepalive',
  'reconnectMax',
  'hub',
  'caFile',
]);

/** What `serve` does unless told otherwise: clients of other servers look for them at this port, and a person watches. */
const SERVE_DEFAULTS: Readonly<Partial<Record<AgentSettingKey, string>>> = { httpPort: '8000', socket: 'none', logLevel: 'warn' };

/** The settings of `serve`, with its own defaults. */
export function serveSettingEntries(): SettingTable<AgentSettingKey> {
  return settingEntries()
    .filter(([key]) => !OF_A_FLEET.has(key))
    .map(([key, entry]) => [key, { ...entry, ...(SERVE_DEFAULTS[key] === undefined ? {} : { default: SERVE_DEFAULTS[key] }) }]);
}

/** The settings of an agent that serves without a hub. Errors: as `loadAgentConfig`; `serve.yaml` in the data folder is the usual settings file. */
export async function loadServeConfig(sources: ConfigSources): Promise<AgentConfig> {
  const data = dataFolder(sources);
  const table = settingEntries();
  const rules = { schema: agentConfigSchema, table, usualFile: join(data, 'serve.yaml'), known: { ...SERVE_DEFAULTS, data } };
  const config = await loadSettings(rules, sources);
  return { ...config, data: resolve(config.data) };
}

/** Every setting with its entry, in the order of the table. */
export function settingEntries(): SettingTable<AgentSettingKey> {
  return agentConfigSchema.keyof().options.map((key) => [key, AGENT_SETTINGS[key]]);
}

/** The data folder alone: what `status` and `predict` need (XDG Base Directory Specification for the default). */
export function dataFolder({ flags, env }: Pick<ConfigSources, 'flags' | 'env'>): string {
  const usual = (): string => join(xdgFolder(env, 'XDG_DATA_HOME', join('.local', 'share')), 'skerry', 'agent');
  return resolve(flags.data ?? env[AGENT_SETTINGS.data.env] ?? usual());
}

/** The certificates (PEM) `--ca-file` names; `CONFIG_INVALID` when the file cannot be read or holds none. */
export async function readAuthorities(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new SkerryError('CONFIG_INVALID', `the certificate file ${path} (--ca-file) could not be read: ${asSkerryError(cause).message}`, {
      cause,
    });
  }
  // As OpenSSL names them.
  if (/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/.test(text)) return text;
  throw new SkerryError('CONFIG_INVALID', `the file ${path} (--ca-file) holds no certificate in PEM form`);
}

type ServeLimits = Pick<
  AgentConfig,
  'jsonElements' | 'bodyLimit' | 'bodyMemory' | 'maxConnections' | 'maxRequests' | 'requestTimeout' | 'idleTimeout' | 'grpcStreams'
> & {
  readonly corsOrigins: readonly string[];
  readonly vertex: { readonly health?: string; readonly predict?: string };
  readonly sharedMemory: boolean;
  readonly metrics?: { readonly host: string; readonly port: number };
};

/** What the local API is told of its limits, and of what it serves beside itself. */
export function serveLimits(config: AgentConfig): ServeLimits {
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
    vertex,
    sharedMemory,
    ...metrics,
  };
}

/** Longest path of a Unix socket that every system takes. */
const SOCKET_PATH_BYTES = 103;

/** Path of the local API's socket; `undefined` when there is to be none, or the path would be too long for one. */
export function socketPath(config: Pick<AgentConfig, 'socket' | 'data'>, platform: string = process.platform): string | undefined {
  // Node knows named pipes on Windows instead, which every user of the machine may open: there the API is on loopback alone.
  if (platform === 'win32' || config.socket === 'none' || config.socket === '') return undefined;
  const path = resolve(config.data, config.socket);
  return Buffer.byteLength(path) > SOCKET_PATH_BYTES ? undefined : path;
}
