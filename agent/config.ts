import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import {
  loadSettings,
  type SettingEntry,
  type SettingSources,
  type SettingTable,
  wholeNumber,
  xdgFolder,
} from '#shared/kernel/settings.js';
import { bytes, file, minutesAtMost } from './setting-types.js';
import { SERVING_SETTINGS, servingShape } from './serving-settings.js';

/** Settings that say nothing where no hub is. All others are settings of `serve` too. */
const fleetShape = {
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
};

const agentConfigSchema = z.strictObject({
  data: file,
  ...servingShape,
  ...fleetShape,
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
  ...SERVING_SETTINGS,
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

/** What `serve` does unless told otherwise: clients of other servers look for them at this port, and a person watches. */
const SERVE_DEFAULTS: Readonly<Partial<Record<AgentSettingKey, string>>> = { httpPort: '8000', socket: 'none', logLevel: 'warn' };

/** The settings of `serve`, with its own defaults. */
export function serveSettingEntries(): SettingTable<AgentSettingKey> {
  return settingEntries()
    .filter(([key]) => !(key in fleetShape))
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
