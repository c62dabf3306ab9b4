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
    message: 'must be set together with tls-key',
  })
  .refine((config) => (config.alertUrl === undefined) === (config.alertSecretFile === undefined), {
    path: ['alertUrl'],
    message: 'must be set together with alert-secret-file',
  })
  .refine((config) => config.mosquittoGroup === undefined || config.mosquittoDir !== undefined, {
    path: ['mosquittoGroup'],
    message: 'needs mosquitto-files',
  })
  .refine((config) => config.mosquittoReload === undefined || config.mosquittoDir !== undefined, {
    path: ['mosquittoReload'],
    message: 'needs mosquitto-files',
  });
/** Every setting of a hub, complete. */
export type HubConfig = z.infer<typeof hubConfigSchema>;
export type HubSettingKey = keyof HubConfig;

/** The settings as one table: the command line, the file, the environment and the documentation read it. All are read once, at the start. */
export const HUB_SETTINGS: Readonly<Record<HubSettingKey, SettingEntry>> = {
  dataDir: {
    flag: 'data',
    value: 'folder',
    env: 'SKERRY_HUB_DATA',
    doc: 'Folder for everything the hub keeps. (default: skerry/hub in the XDG data folder)',
  },
  fleet: {
    flag: 'fleet',
    value: 'name',
    env: 'SKERRY_HUB_FLEET',
    default: 'main',
    doc: 'Name of the fleet. Part of every topic and signed statement.',
  },
  httpHost: {
    flag: 'http-host',
    value: 'host',
    env: 'SKERRY_HUB_HTTP_HOST',
    default: '127.0.0.1',
    doc: 'Address that the HTTP API listens on.',
  },
  httpPort: {
    flag: 'http-port',
    value: 'port',
    env: 'SKERRY_HUB_HTTP_PORT',
    default: 7480,
    doc: 'Port of the HTTP API. 0 picks a free port.',
  },
  publicUrl: {
    flag: 'public-url',
    value: 'url',
    env: 'SKERRY_HUB_PUBLIC_URL',
    doc: 'URL under which others reach the API, if it differs from the listening address.',
  },
  trustedProxy: {
    flag: 'trusted-proxy',
    value: 'addresses',
    env: 'SKERRY_HUB_TRUSTED_PROXY',
    doc: "Reverse proxies whose X-Forwarded headers are trusted: addresses or networks separated by commas, or 'loopback'. (default: none)",
  },
  mqttHost: {
    flag: 'mqtt-host',
    value: 'host',
    env: 'SKERRY_HUB_MQTT_HOST',
    default: '127.0.0.1',
    doc: 'Address that the embedded broker listens on.',
  },
  mqttPort: {
    flag: 'mqtt-port',
    value: 'port',
    env: 'SKERRY_HUB_MQTT_PORT',
    default: 1883,
    doc: 'Port of the embedded broker. 0 picks a free port.',
  },
  mqttPublicUrl: {
    flag: 'mqtt-public-url',
    value: 'url',
    env: 'SKERRY_HUB_MQTT_PUBLIC_URL',
    doc: 'Broker URL that devices get at enrolment.',
  },
  mqttUrl: {
    flag: 'mqtt-url',
    value: 'url',
    env: 'SKERRY_HUB_MQTT_URL',
    doc: 'URL of an external MQTT 3.1.1 broker that replaces the embedded one.',
  },
  mqttUsername: {
    flag: 'mqtt-username',
    value: 'name',
    env: 'SKERRY_HUB_MQTT_USERNAME',
    doc: 'User name of the hub at the external broker.',
  },
  mqttPasswordFile: {
    flag: 'mqtt-password-file',
    value: 'file',
    env: 'SKERRY_HUB_MQTT_PASSWORD_FILE',
    doc: 'File with the password of the hub at the external broker.',
  },
  mqttCaFile: {
    flag: 'mqtt-ca-file',
    value: 'file',
    env: 'SKERRY_HUB_MQTT_CA_FILE',
    doc: "PEM file with the CA of the broker's certificate. Devices get it at enrolment.",
  },
  mosquittoDir: {
    flag: 'mosquitto-files',
    value: 'folder',
    env: 'SKERRY_HUB_MOSQUITTO_FILES',
    doc: 'Folder for the password and ACL files of an external mosquitto.',
  },
  mosquittoGroup: {
    flag: 'mosquitto-group',
    value: 'group',
    env: 'SKERRY_HUB_MOSQUITTO_GROUP',
    doc: 'Group that mosquitto reads these files as. (default: the group of the folder)',
  },
  mosquittoReload: {
    flag: 'mosquitto-reload',
    value: 'command',
    env: 'SKERRY_HUB_MOSQUITTO_RELOAD',
    doc: 'Shell command that makes mosquitto reload these files, such as "systemctl reload mosquitto". Run after each change.',
  },
  tlsCertFile: {
    flag: 'tls-cert',
    value: 'file',
    env: 'SKERRY_HUB_TLS_CERT',
    doc: 'PEM certificate of the API and the embedded broker.',
  },
  tlsKeyFile: { flag: 'tls-key', value: 'file', env: 'SKERRY_HUB_TLS_KEY', doc: 'PEM private key of the certificate.' },
  keySecretFile: {
    flag: 'key-file',
    value: 'file',
    env: 'SKERRY_HUB_KEY_FILE',
    doc: "File with the secret that encrypts the hub's keys. (default: keys/hub.secret in the data folder, created on the first start)",
  },
  passphraseFile: {
    flag: 'passphrase-file',
    value: 'file',
    env: 'SKERRY_HUB_PASSPHRASE_FILE',
    doc: "File with a passphrase that encrypts the hub's keys, instead of --key-file. The passphrase itself may be in SKERRY_HUB_PASSPHRASE.",
  },
  alertUrl: {
    flag: 'alert-url',
    value: 'url',
    env: 'SKERRY_HUB_ALERT_URL',
    doc: 'Webhook for alerts (Standard Webhooks): rollouts that pause, roll back, wait for approval or end, trust signatures that expire, and problems of devices and of the clock of the hub.',
  },
  alertSecretFile: {
    flag: 'alert-secret-file',
    value: 'file',
    env: 'SKERRY_HUB_ALERT_SECRET_FILE',
    doc: 'File with the secret that signs the webhook messages.',
  },
  auditDays: {
    flag: 'audit-days',
    value: 'days',
    env: 'SKERRY_HUB_AUDIT_DAYS',
    default: 400,
    doc: 'Days to keep the audit log, ended rollouts, withdrawn deployments, and revoked or expired tokens.',
  },
  eventDays: { flag: 'event-days', value: 'days', env: 'SKERRY_HUB_EVENT_DAYS', default: 90, doc: 'Days to keep device events.' },
  metricDays: { flag: 'metric-days', value: 'days', env: 'SKERRY_HUB_METRIC_DAYS', default: 90, doc: 'Days to keep measurements.' },
  deviceStep: {
    flag: 'device-step',
    value: 'duration',
    env: 'SKERRY_HUB_DEVICE_STEP',
    default: '5m',
    doc: 'Time resolution of the measurements of a single device. A finer one lets rollouts decide sooner and needs more space.',
  },
  rolloutLook: {
    flag: 'rollout-look',
    value: 'duration',
    env: 'SKERRY_HUB_ROLLOUT_LOOK',
    default: '5s',
    doc: 'Interval between checks of running rollouts.',
  },
  logLevel: {
    flag: 'log-level',
    value: 'level',
    env: 'SKERRY_HUB_LOG_LEVEL',
    default: 'info',
    doc: 'Lowest level that is logged: debug, info, warn or error.',
  },
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
