import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { makeFolder, requireOwnFolder } from '#shared/kernel/make-folder.js';
import { KEY_FILE_COST, keyFileSecret, PASSPHRASE_COST, passphraseSecret } from '#shared/trust/key-file.js';
import type { ApiTokens } from './api/tokens.js';
import type { HubConfig } from './config.js';
import type { HubState } from './hub-state.js';
import { type HubKeys, openHubKeys } from './registry/tuf/hub-keys.js';

/** Environment variable with the passphrase the hub's keys are sealed with. */
const PASSPHRASE_VARIABLE = 'SKERRY_HUB_PASSPHRASE';

/** What lies where in a hub's data folder. */
export interface DataPaths {
  readonly root: string;
  readonly lock: string;
  readonly database: string;
  readonly artifacts: string;
  readonly keys: string;
  readonly keySecret: string;
  readonly adminToken: string;
  readonly state: string;
}

export function dataPaths(root: string): DataPaths {
  return {
    root,
    lock: join(root, 'hub.lock'),
    database: join(root, 'hub.db'),
    artifacts: join(root, 'artifacts'),
    keys: join(root, 'keys'),
    keySecret: join(root, 'keys', 'hub.secret'),
    adminToken: join(root, 'admin.token'),
    state: join(root, 'hub.json'),
  };
}

/** Names in a hub's data folder, any of which shows that it is one; `hub.yaml` and unpacked libraries (`native`) may be there before the first start. */
const OURS = /^(?:hub\.|keys$|artifacts$|admin\.token$|native$)/;

export async function makeDataFolder(paths: DataPaths): Promise<void> {
  await requireOwnFolder(paths.root, OURS, 'a hub');
  await makeFolder(paths.keys);
}

/**
 * Opens the hub's keys, or makes them on the first start, sealed with the passphrase given or else with a key file. Throws
 * `HUB_KEYS_LOCKED` when they do not open: the hub then does not start, rather than start with other keys.
 */
export async function openKeys(paths: DataPaths, config: HubConfig, env: Readonly<Record<string, string | undefined>>): Promise<HubKeys> {
  const passphrase = await readPassphrase(config, env);
  try {
    if (passphrase !== undefined) return await openHubKeys(paths.keys, passphraseSecret(passphrase), PASSPHRASE_COST);
    // A key file named by the settings has to be there; only our own is made.
    const secret =
      config.keySecretFile === undefined
        ? await keyFileSecret(paths.keySecret, { create: true })
        : await keyFileSecret(config.keySecretFile);
    return await openHubKeys(paths.keys, secret, KEY_FILE_COST);
  } catch (cause) {
    const error = asSkerryError(cause);
    if (error.code === 'DISK_FULL') throw error;
    throw new SkerryError('HUB_KEYS_LOCKED', `the hub's keys do not open: ${error.message}`, { cause });
  }
}

async function readPassphrase(config: HubConfig, env: Readonly<Record<string, string | undefined>>): Promise<string | undefined> {
  if (config.passphraseFile === undefined) return env[PASSPHRASE_VARIABLE];
  return (await readSetting(config.passphraseFile, 'passphrase file')).split(/\r?\n/, 1)[0] ?? '';
}

/** Text of a file a setting names. */
export async function readSetting(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new SkerryError('CONFIG_INVALID', `the ${what} ${path} could not be read`, { cause });
  }
}

/** Makes the first admin token while there is none that works, and writes it beside the data (mode 0600). True when it did. */
export async function ensureAdminToken(paths: DataPaths, tokens: ApiTokens): Promise<boolean> {
  if (await tokens.hasAdmin()) return false;
  await tokens.create({ name: 'first admin', role: 'admin', createdBy: 'hub' }, (token) =>
    writeFileAtomic(paths.adminToken, `${token}\n`, { mode: 0o600 }),
  );
  return true;
}

export function writeState(paths: DataPaths, state: HubState): Promise<void> {
  return writeFileAtomic(paths.state, `${JSON.stringify(state, undefined, 2)}\n`);
}

/** So that nobody looks for a hub where none is. */
export function removeState(paths: DataPaths): Promise<void> {
  return rm(paths.state, { force: true });
}
