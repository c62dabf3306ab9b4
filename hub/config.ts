import { join, resolve } from 'node:path';
import { z } from 'zod';
import { hours, seconds } from '#shared/kernel/time.js';
import { durationSchema } from '#shared/kernel/duration.js';
import {
  loadSettings,
  type SettingEntry,
  type SettingSources,
  type SettingTable,
  wholeNumber,
  xdgFolder,
} from '#shared/kernel/settings.js';
import { fleetIdSchema } from '#shared/protocol/device.js';

const port = wholeNumber(0, 65_535);
const dayCount = wholeNumber(1, 36_500);
const host = z.string().min(1).max(253);
const file = z.string().min(1).max(4096);
const httpUrl = z.url({ protocol: /^https?$/ }).max(512);
const mqttUrl = z.url({ protocol: /^(mqtt|mqtts|ws|wss)$/ }).max(512);

const hubConfigSchema = z
  .strictObject({
    dataDir: file,
    fleet: fleetIdSchema,
    httpHost: host,
    httpPort: port,
    publicUrl: httpUrl.optional(),
    trustedProxy: z.string().min(1).max(4096).optional(),
    mqttHost: host,
    mqttPort: port,
    mqttPublicUrl: mqttUrl.optional(),
    mqttUrl: mqttUrl.optional(),
    mqttUsername: z.string().min(1).max(256).optional(),
    mqttPasswordFile: file.optional(),
    mqttCaFile: file.optional(),
    mosquittoDir: file.optional(),
    mosquittoGroup: z
      .string()
      .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'the name or number of a group')
      .optional(),
    mosquittoReload: z.string().min(1).max(4096).optional(),
    tlsCertFile: file.optional(),
    tlsKeyFile: file.optional(),
    keySecretFile: file.optional(),
    alertUrl: httpUrl.optional(),
    alertSecretFile: file.optional(),
    passphraseFile: file.optional(),
    auditDays: dayCount,
    eventDays: dayCount,
    metricDays: dayCount,
    deviceStep: durationSchema.refine((step) => step >= seconds(1) && step <= hours(1), 'between 1s and 1h'),
    rolloutLook: durationSchema.refine((every) => every >= seconds(1) && every <= hours(1), 'between 1s and 1h'),
    logLevel: z.enum(['debug', 'info', 'warn', 'error']),
  })
  .refine((config) => (config.tlsCertFile === undefined) === (config.tlsKeyFile === undefined), {
    path: ['tlsCertFile'],
    message: 'a certificate needs its key, and a key its certificate',
  })
  .refine((config) => (config.alertUrl === undefined) === (config.alertSecretFile === undefined), {
    path: ['alertUrl'],
    message: 'a webhook needs its secret, and a secret its webhook',
  })
  .refine((config) => config.mosquittoGroup === undefined || config.mosquittoDir !== undefined, {
    path: ['mosquittoGroup'],
    message: 'a group for the files needs the folder they are written to (mosquitto-files)',
  })
  .refine((config) => config.mosquittoReload === undefined || config.mosquittoDir !== undefined, {
    path: ['mosquittoReload'],
    message: 'a command that has the files read needs the folder they are written to (mosquitto-files)',
  });
/** Every setting of a hub, complete. */
export type HubConfig = z.infer<typeof hubConfigSchema>;
export type HubSettingKey = keyof HubConfig;

/** The settings as one table: the command line, the file, the environment and the documentation read it. All are read once, at the start. */
export const HUB_SETTINGS: Readonly<Record<HubSettingKey, SettingEntry>> = {
  dataDir: {
    flag: 'data',
    env: 'SKERRY_HUB_DATA',
    doc: 'folder for everything the hub keeps (default: skerry/hub in the XDG data folder)',
  },
  fleet: {
    flag: 'fleet',
    env: 'SKERRY_HUB_FLEET',
    default: 'main',
    doc: 'name of the fleet; part of every topic and signed statement',
  },
  httpHost: {
    flag: 'http-host',
    env: 'SKERRY_HUB_HTTP_HOST',
    default: '127.0.0.1',
    doc: 'address the HTTP API listens on',
  },
  httpPort: {
    flag: 'http-port',
    env: 'SKERRY_HUB_HTTP_PORT',
    default: 7480,
    doc: 'port of the HTTP API; 0 takes a free one',
  },
  publicUrl: {
    flag: 'public-url',
    env: 'SKERRY_HUB_PUBLIC_URL',
    doc: 'address others reach the API at, where it is not the one listened on',
  },
  trustedProxy: {
    flag: 'trusted-proxy',
    env: 'SKERRY_HUB_TRUSTED_PROXY',
    doc: "reverse proxies whose X-Forwarded headers are believed: addresses or networks separated by commas, or 'loopback' (default: none)",
  },
  mqttHost: {
    flag: 'mqtt-host',
    env: 'SKERRY_HUB_MQTT_HOST',
    default: '127.0.0.1',
    doc: 'address the embedded broker listens on',
  },
  mqttPort: {
    flag: 'mqtt-port',
    env: 'SKERRY_HUB_MQTT_PORT',
    default: 1883,
    doc: 'port of the embedded broker; 0 takes a free one',
  },
  mqttPublicUrl: {
    flag: 'mqtt-public-url',
    env: 'SKERRY_HUB_MQTT_PUBLIC_URL',
    doc: 'broker address told to devices when they enrol',
  },
  mqttUrl: {
    flag: 'mqtt-url',
    env: 'SKERRY_HUB_MQTT_URL',
    doc: 'an external MQTT 3.1.1 broker instead of the embedded one',
  },
  mqttUsername: {
    flag: 'mqtt-username',
    env: 'SKERRY_HUB_MQTT_USERNAME',
    doc: 'user name of the hub at the external broker',
  },
  mqttPasswordFile: { flag: 'mqtt-password-file', env: 'SKERRY_HUB_MQTT_PASSWORD_FILE', doc: 'file with its password' },
  mqttCaFile: {
    flag: 'mqtt-ca-file',
    env: 'SKERRY_HUB_MQTT_CA_FILE',
    doc: "PEM of the authority behind the broker's certificate; told to devices too",
  },
  mosquittoDir: {
    flag: 'mosquitto-files',
    env: 'SKERRY_HUB_MOSQUITTO_FILES',
    doc: 'folder the password and ACL files of an external mosquitto are written to',
  },
  mosquittoGroup: {
    flag: 'mosquitto-group',
    env: 'SKERRY_HUB_MOSQUITTO_GROUP',
    doc: 'group that mosquitto reads those files as (default: the group of the folder)',
  },
  mosquittoReload: {
    flag: 'mosquitto-reload',
    env: 'SKERRY_HUB_MOSQUITTO_RELOAD',
    doc: 'shell command run each time those files changed, so that mosquitto reads them, e.g. "systemctl reload mosquitto"',
  },
  tlsCertFile: {
    flag: 'tls-cert',
    env: 'SKERRY_HUB_TLS_CERT',
    doc: 'PEM certificate for the API and the embedded broker',
  },
  tlsKeyFile: { flag: 'tls-key', env: 'SKERRY_HUB_TLS_KEY', doc: 'PEM private key of that certificate' },
  keySecretFile: {
    flag: 'key-file',
    env: 'SKERRY_HUB_KEY_FILE',
    doc: "file the hub's keys are sealed with (default: keys/hub.secret in the data folder, made on the first start)",
  },
  passphraseFile: {
    flag: 'passphrase-file',
    env: 'SKERRY_HUB_PASSPHRASE_FILE',
    doc: "file with a passphrase the hub's keys are sealed with, instead of a key file (or the passphrase in SKERRY_HUB_PASSPHRASE)",
  },
  alertUrl: {
    flag: 'alert-url',
    env: 'SKERRY_HUB_ALERT_URL',
    doc: 'webhook that is told when a rollout pauses, rolls back, waits for approval or ends, and before signatures of trust roles end, and of what the hub notices of devices and of its own clock (Standard Webhooks)',
  },
  alertSecretFile: {
    flag: 'alert-secret-file',
    env: 'SKERRY_HUB_ALERT_SECRET_FILE',
    doc: 'file with the secret the webhook messages are signed with',
  },
  auditDays: {
    flag: 'audit-days',
    env: 'SKERRY_HUB_AUDIT_DAYS',
    default: 400,
    doc: 'days the audit log is kept, and what ended: rollouts, withdrawn deployments, revoked and expired tokens',
  },
  eventDays: { flag: 'event-days', env: 'SKERRY_HUB_EVENT_DAYS', default: 90, doc: 'days device events are kept' },
  metricDays: { flag: 'metric-days', env: 'SKERRY_HUB_METRIC_DAYS', default: 90, doc: 'days measurements are kept' },
  deviceStep: {
    flag: 'device-step',
    env: 'SKERRY_HUB_DEVICE_STEP',
    default: '5m',
    doc: 'time step of what is kept of a single device; finer ones let rollouts decide sooner and cost space',
  },
  rolloutLook: { flag: 'rollout-look', env: 'SKERRY_HUB_ROLLOUT_LOOK', default: '5s', doc: 'how often rollouts under way are looked at' },
  logLevel: { flag: 'log-level', env: 'SKERRY_HUB_LOG_LEVEL', default: 'info', doc: 'debug, info, warn or error' },
};

export type ConfigSources = SettingSources<HubSettingKey>;

/** The settings of a hub from flags, environment, `hub.yaml` and defaults. `CONFIG_INVALID` lists every bad one with its source. */
export async function loadHubConfig(sources: ConfigSources): Promise<HubConfig> {
  const dataDir = sources.flags.dataDir ?? sources.env[HUB_SETTINGS.dataDir.env] ?? defaultDataDir(sources.env);
  const rules = { schema: hubConfigSchema, table: settingEntries(), usualFile: join(dataDir, 'hub.yaml'), known: { dataDir } };
  const config = await loadSettings(rules, sources);
  return { ...config, dataDir: resolve(config.dataDir) };
}

/** Every setting with its entry, in the order of the table. */
export function settingEntries(): SettingTable<HubSettingKey> {
  return hubConfigSchema.keyof().options.map((key) => [key, HUB_SETTINGS[key]]);
}

/** Where a hub keeps its data unless told (XDG Base Directory Specification). */
export function defaultDataDir(env: Readonly<Record<string, string | undefined>>): string {
  return join(xdgFolder(env, 'XDG_DATA_HOME', join('.local', 'share')), 'skerry', 'hub');
}
