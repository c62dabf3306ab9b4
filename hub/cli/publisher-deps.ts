import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Clock } from '#shared/kernel/clock.js';
import type { Output } from '#shared/terminal/output.js';
import { readPassphrase } from '#shared/terminal/passphrase.js';
import { type KeySecret, passphraseSecret } from '#shared/trust/key-file.js';
import { type HubAddress, httpPublisherHub } from '../publisher/http-hub.js';
import type { PublisherHub } from '../publisher/hub-port.js';
import { PublisherFolder } from '../publisher/trust-folder.js';

/** Where the hub is, as flags say it; what is left out comes from the environment or the saved login. */
export interface HubFlags {
  readonly hub?: string;
  readonly token?: string;
}

/** What the commands of publishers are given by the program. */
export interface PublisherCliDeps {
  readonly output: (json: boolean) => Output;
  readonly resolveHub: (flags: HubFlags) => Promise<HubAddress>;
  readonly clock: Clock;
}

export interface KeyFlags {
  readonly keys: string;
  readonly passphraseFile?: string;
}

/** What every command that signs is told by flags. */
export interface PublisherFlags extends HubFlags, KeyFlags {
  readonly json?: boolean;
}

/** What every command that signs works with. */
export interface OpenedPublisher {
  readonly out: Output;
  readonly hub: PublisherHub;
  readonly folder: PublisherFolder;
}

const DEFAULT_KEYS = './publisher';

/** Options every command has that talks to a hub. */
export function addHubOptions(command: Command): Command {
  return command
    .option('--hub <url>', 'URL of the hub. (SKERRY_HUB; default: that of the saved login)')
    .option('--token <token>', 'API token. (SKERRY_TOKEN; default: that of the saved login)')
    .option('--json', 'Print one JSON object.');
}

/** Options every command has that signs. */
export function addPublisherOptions(command: Command): Command {
  command
    .option('--keys <dir>', 'Publisher folder with the encrypted keys.', DEFAULT_KEYS)
    .option('--passphrase-file <file>', 'File whose first line is the passphrase of the keys. (SKERRY_PASSPHRASE; default: ask)');
  return addHubOptions(command);
}

export async function openHub(deps: PublisherCliDeps, flags: HubFlags): Promise<PublisherHub> {
  return httpPublisherHub(await deps.resolveHub(flags));
}

/** The secret that opens (or, with `confirm`, is going to seal) the keys of a publisher folder. */
export async function openSecret(out: Output, flags: KeyFlags, confirm = false): Promise<KeySecret> {
  const file = flags.passphraseFile;
  const options = { what: 'publisher keys', variable: 'SKERRY_PASSPHRASE', confirm, ...(file === undefined ? {} : { file }) };
  return passphraseSecret(await readPassphrase(out, options));
}

/** Finds the hub; nothing is read from the folder yet. */
export async function openPublisher(deps: PublisherCliDeps, flags: PublisherFlags): Promise<OpenedPublisher> {
  const hub = await openHub(deps, flags);
  return { out: deps.output(flags.json === true), hub, folder: new PublisherFolder(resolve(flags.keys)) };
}
