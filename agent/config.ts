import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { durationSchema } from '#shared/kernel/duration.js';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';

const whole = (min: number, max: number): z.ZodType<number> =>
  z
    .union([
      z.int(),
      z
        .string()
        .regex(/^\d{1,15}$/, 'a whole number')
        .transform(Number),
    ])
    .pipe(z.int().min(min).max(max));
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

const agentConfigSchema = z.strictObject({
  data: file,
  httpHost: z.string().min(1).max(253),
  httpPort: whole(0, 65_535),
  socket: z.string().max(4096),
  instances: whole(1, 64),
  threads: whole(1, 64),
  bake: minutesAtMost(60 * 24 * 30),
  maxBoots: whole(1, 1_000),
  diskBudget: bytes,
  diskReserve: bytes,
  outboxRecords: whole(10, 10_000_000),
  outboxBytes: bytes,
  window: minutesAtMost(60 * 24).refine((value) => value >= 1_000, 'at least one second'),
  keepalive: minutesAtMost(5).refine((value) => value >= 5_000, 'at least five seconds'),
  reconnectMax: minutesAtMost(60).refine((value) => value >= 100, 'at least 100ms'),
  caFile: file.optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']),
});
/** Every setting of an agent, complete. Durations in milliseconds, sizes in bytes. */
export type AgentConfig = z.infer<typeof agentConfigSchema>;
export type AgentSettingKey = keyof AgentConfig;

export interface SettingEntry {
  /** `--flag` of `skerry-agent run`, and the same word in the file. */
  readonly flag: string;
  readonly env: string;
  /** Left out: no value. */
  readonly default?: string | number;
  readonly doc: string;
}

/** The settings as one table: the command line, the file, the environment and the documentation read it. All are read once, at the start. */
export const AGENT_SETTINGS: Readonly<Record<AgentSettingKey, SettingEntry>> = {
  data: {
    flag: 'data',
    env: 'SKERRY_AGENT_DATA',
    doc: 'folder for everything the agent keeps (default: skerry/agent in the XDG data folder)',
  },
  httpHost: { flag: 'http-host', env: 'SKERRY_AGENT_HTTP_HOST', default: '127.0.0.1', doc: 'address the local API listens on' },
  httpPort: { flag: 'http-port', env: 'SKERRY_AGENT_HTTP_PORT', default: 7490, doc: 'port of the local API; 0 takes a free one' },
  socket: {
    flag: 'socket',
    env: 'SKERRY_AGENT_SOCKET',
    default: 'agent.sock',
    doc: 'Unix socket of the local API, relative to the data folder; "none" for none',
  },
  instances: { flag: 'instances', env: 'SKERRY_AGENT_INSTANCES', default: 1, doc: 'worker threads for each model in service' },
  threads: { flag: 'threads', env: 'SKERRY_AGENT_THREADS', default: 1, doc: 'threads each of them computes with' },
  bake: {
    flag: 'bake',
    env: 'SKERRY_AGENT_BAKE',
    default: '60s',
    doc: 'how long a new version must serve without failing to count as good',
  },
  maxBoots: {
    flag: 'max-boots',
    env: 'SKERRY_AGENT_MAX_BOOTS',
    default: 3,
    doc: 'starts of the agent a new version may take down before it is given up',
  },
  diskBudget: { flag: 'disk-budget', env: 'SKERRY_AGENT_DISK_BUDGET', default: '4GiB', doc: 'bytes of models kept on the disk' },
  diskReserve: {
    flag: 'disk-reserve',
    env: 'SKERRY_AGENT_DISK_RESERVE',
    default: '16MiB',
    doc: 'bytes of the disk that downloads leave free',
  },
  outboxRecords: {
    flag: 'outbox-records',
    env: 'SKERRY_AGENT_OUTBOX_RECORDS',
    default: 10_000,
    doc: 'records kept for the hub while it is away',
  },
  outboxBytes: { flag: 'outbox-bytes', env: 'SKERRY_AGENT_OUTBOX_BYTES', default: '32MiB', doc: 'and their bytes' },
  window: { flag: 'window', env: 'SKERRY_AGENT_WINDOW', default: '60s', doc: 'length of one window of measurements' },
  keepalive: { flag: 'keepalive', env: 'SKERRY_AGENT_KEEPALIVE', default: '45s', doc: 'MQTT keepalive' },
  reconnectMax: {
    flag: 'reconnect-max',
    env: 'SKERRY_AGENT_RECONNECT_MAX',
    default: '60s',
    doc: 'longest wait before the broker is tried again',
  },
  caFile: { flag: 'ca-file', env: 'SKERRY_AGENT_CA_FILE', doc: 'PEM of the authority behind the certificates of hub and broker' },
  logLevel: { flag: 'log-level', env: 'SKERRY_AGENT_LOG_LEVEL', default: 'info', doc: 'debug, info, warn or error' },
};

export interface ConfigSources {
  /** By setting key, as the command line gave them. */
  readonly flags: Readonly<Partial<Record<AgentSettingKey, string>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** YAML or JSON file (default: agent.yaml in the data folder, if it is there). */
  readonly configFile?: string | undefined;
}

/** Compiles the settings: flag before environment before file before default. `CONFIG_INVALID` lists every bad one with its source. */
export async function loadAgentConfig(sources: ConfigSources): Promise<AgentConfig> {
  const early = dataFolder(sources);
  const fromFile = await readConfigFile(sources.configFile ?? join(early, 'agent.yaml'), sources.configFile !== undefined);
  const origin = new Map<string, string>();
  const values: Record<string, unknown> = {};
  for (const [key, entry] of settingEntries()) {
    const found = firstOf([
      [`--${entry.flag}`, sources.flags[key]],
      [entry.env, sources.env[entry.env]],
      [`"${entry.flag}" in the settings file`, fromFile[entry.flag]],
      ['its default', key === 'data' ? early : entry.default],
    ]);
    if (found === undefined) continue;
    values[key] = found.value;
    origin.set(key, found.source);
  }
  const result = agentConfigSchema.safeParse(values);
  if (!result.success) {
    const issues = result.error.issues.map((issue) => `${origin.get(String(issue.path[0])) ?? String(issue.path[0])}: ${issue.message}`);
    throw new SkerryError('CONFIG_INVALID', `settings that cannot be used: ${issues.join('; ')}`, { details: { issues } });
  }
  return { ...result.data, data: resolve(result.data.data) };
}

/** Every setting with its entry, in the order of the table. */
export function settingEntries(): readonly (readonly [AgentSettingKey, SettingEntry])[] {
  return agentConfigSchema.keyof().options.map((key) => [key, AGENT_SETTINGS[key]]);
}

/** The data folder alone: what `status` and `predict` need (XDG Base Directory Specification for the default). */
export function dataFolder({ flags, env }: Pick<ConfigSources, 'flags' | 'env'>): string {
  const home = env['XDG_DATA_HOME'] ?? join(env['HOME'] ?? homedir(), '.local', 'share');
  return resolve(flags.data ?? env[AGENT_SETTINGS.data.env] ?? join(home, 'skerry', 'agent'));
}

/** Longest path of a Unix socket that every system takes. */
const SOCKET_PATH_BYTES = 103;

/** Path of the local API's socket; `undefined` when there is to be none, or the path would be too long for one. */
export function socketPath(config: Pick<AgentConfig, 'socket' | 'data'>): string | undefined {
  if (config.socket === 'none' || config.socket === '') return undefined;
  const path = resolve(config.data, config.socket);
  return Buffer.byteLength(path) > SOCKET_PATH_BYTES ? undefined : path;
}

function firstOf(candidates: readonly (readonly [string, unknown])[]): { source: string; value: unknown } | undefined {
  const found = candidates.find(([, value]) => value !== undefined && value !== '');
  return found === undefined ? undefined : { source: found[0], value: found[1] };
}

async function readConfigFile(path: string, mustExist: boolean): Promise<Readonly<Record<string, unknown>>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (!mustExist && errnoOf(cause) === 'ENOENT') return {};
    throw new SkerryError('CONFIG_INVALID', `the settings file ${path} could not be read`, { cause });
  }
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (cause) {
    throw new SkerryError('CONFIG_INVALID', `the settings file ${path} is neither YAML nor JSON`, { cause });
  }
  const table = z.record(z.string(), z.unknown()).safeParse(value);
  if (!table.success) throw new SkerryError('CONFIG_INVALID', `the settings file ${path} is not a table of settings`);
  const known = new Set(settingEntries().map(([, entry]) => entry.flag));
  const unknown = Object.keys(table.data).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new SkerryError('CONFIG_INVALID', `the settings file ${path} has settings nobody knows: ${unknown.join(', ')}`);
  }
  return table.data;
}
