import type { Logger } from '#shared/kernel/logger.js';
import { EmbeddedBroker, HUB_USER } from './broker/embedded.js';
import type { FetchPolicy } from './broker/credentials.js';
import type { BrokerConnection } from './broker/link.js';
import { mosquittoHash } from './broker/mosquitto.js';
import { BrokerFiles } from './broker-files.js';
import type { HubConfig } from './config.js';
import { readSetting } from './data-folder.js';
import type { DevicePasswords } from './fleet/device-passwords.js';

/** Certificate chain and private key of the hub, PEM. */
export interface Tls {
  readonly cert: string;
  readonly key: string;
}

/** What the settings name; `undefined` for a hub that speaks in the clear. */
export async function readTls({ tlsCertFile, tlsKeyFile }: HubConfig): Promise<Tls | undefined> {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined;
  return { cert: await readSetting(tlsCertFile, 'certificate'), key: await readSetting(tlsKeyFile, 'private key') };
}

interface BrokerChoiceOptions {
  readonly config: HubConfig;
  readonly tls: Tls | undefined;
  readonly passwords: DevicePasswords;
  readonly fetchPolicy: FetchPolicy;
  readonly logger: Logger;
}

/** The broker of this hub, whichever it is. */
export interface BrokerChoice {
  readonly embedded: EmbeddedBroker | undefined;
  /** How the hub connects. */
  readonly connection: () => BrokerConnection;
  /** Port of the embedded broker; 0 beside an external one. */
  readonly port: () => number;
  /** Devices came, left or got another password. */
  readonly onCredentials: () => Promise<void>;
}

/** The embedded broker, not started yet, or the external one the settings name. */
export async function openBroker({ config, tls, passwords, fetchPolicy, logger }: BrokerChoiceOptions): Promise<BrokerChoice> {
  const { mqttUrl } = config;
  if (mqttUrl !== undefined) return externalBroker(config, mqttUrl, passwords, logger);
  const embedded = new EmbeddedBroker({
    fleet: config.fleet,
    listen: { host: config.mqttHost, port: config.mqttPort, ...(tls === undefined ? {} : { tls }) },
    credentials: passwords,
    fetchPolicy,
    logger,
  });
  return {
    embedded,
    connection: () => embedded.hubConnection,
    port: () => embedded.port,
    // It asks for the password at every connect.
    onCredentials: () => Promise.resolve(),
  };
}

async function externalBroker(config: HubConfig, url: string, passwords: DevicePasswords, logger: Logger): Promise<BrokerChoice> {
  const { mosquittoDir: folder, mosquittoReload: reload, mosquittoGroup: group, mqttUsername: username = HUB_USER } = config;
  const password = config.mqttPasswordFile === undefined ? undefined : (await readSetting(config.mqttPasswordFile, 'password file')).trim();
  const ca = config.mqttCaFile === undefined ? undefined : await readSetting(config.mqttCaFile, 'certificate authority');
  const hubHash = mosquittoHash(password ?? '');
  const files =
    folder === undefined
      ? undefined
      : new BrokerFiles({ folder, fleet: config.fleet, hubUser: username, hubHash, passwords, reload, group, logger });
  const onCredentials = async (): Promise<void> => files?.update();
  await onCredentials();
  return { embedded: undefined, connection: () => ({ url, username, password, ca }), port: () => 0, onCredentials };
}
