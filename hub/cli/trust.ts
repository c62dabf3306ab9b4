import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { requireFiles } from '#shared/terminal/named-files.js';
import { printJson, printLine, printNote } from '#shared/terminal/output.js';
import { shellQuote } from '#shared/terminal/shell-quote.js';
import { currentRequest, decodePublisherRequest, encodePublisherRequest } from '../publisher/publisher-request.js';
import { deliverPending, signAndDeliver } from '../publisher/trust-delivery.js';
import { parseMetadata } from '#shared/trust/metadata.js';
import { ROLE_NAME_RULE } from '#shared/trust/role-name.js';
import type { TrustUpdate } from '#shared/trust/update.js';
import { addPublisher, type Ceremony, initTrust, removePublisher, rotateRoot } from '../publisher/trust-keeper.js';
import { renewFolder } from '../publisher/trust-renewal.js';
import { createPublisher } from '../publisher/trust-sign.js';
import { collectText, parseCount } from './publish-options.js';
import {
  addHubOptions,
  addPublisherOptions,
  type HubFlags,
  openHub,
  type OpenedPublisher,
  openPublisher,
  openSecret,
  type PublisherCliDeps,
  type PublisherFlags,
} from './publisher-deps.js';
import { exclusively } from './trust-exclusive.js';
import { addRecover } from './trust-recover.js';
import { showTrust } from './trust-show.js';

interface RootFlags extends PublisherFlags {
  readonly rootKeys: number;
  readonly rootThreshold: number;
}

/** Adds `skerry trust ...`: the ceremonies of root keeper and publishers, all on their own machines. */
export function registerTrustCommands(program: Command, deps: PublisherCliDeps): void {
  const trust = program.command('trust').description('Manage keys and signed metadata: who may publish what.');
  addInit(trust, deps);
  addShow(trust, deps);
  addRequest(trust, deps);
  addAddPublisher(trust, deps);
  addRotateRoot(trust, deps);
  addRemovePublisher(trust, deps);
  addResign(trust, deps);
  addRecover(trust, deps);
}

function addInit(trust: Command, deps: PublisherCliDeps): void {
  const command = trust
    .command('init')
    .description('Create the root of trust of a new hub and its first publisher, in a folder on this machine.')
    .option('--role <name>', `Name of the first publisher: ${ROLE_NAME_RULE}.`, 'publisher')
    .option(
      '--models <pattern>',
      'Model names that it may publish, with "*" as wildcard. Repeatable. (default: all models)',
      collectText,
      [],
    )
    .option('--agent', 'Let it also publish releases of the agent.')
    .option('--root-keys <n>', 'Number of root keys to create.', parseCount, 1)
    .option('--root-threshold <n>', 'Number of root keys that must sign together.', parseCount, 1);
  addPublisherOptions(command)
    .addHelpText(
      'after',
      '\nThe folder holds the private keys, encrypted with a passphrase. The hub never needs it: keep it on another machine, and keep a copy.' +
        '\n\nExample:\n  skerry trust init --keys ./publisher --role alice --models "vad*"',
    )
    .action(async (flags: RootFlags & { role: string; models: readonly string[]; agent?: boolean }) => {
      const opened = await openPublisher(deps, flags);
      const { out, hub, folder } = opened;
      await exclusively(opened, deps, 'trust init', async (delivery) => {
        if (await deliverPending(delivery)) return;
        await requireNoRoot(opened);
        const secret = await openSecret(out, flags, true);
        const keys = await hub.hubKeys();
        const models = flags.models.length === 0 ? ['*'] : flags.models;
        const publisher = { role: flags.role, models, agent: flags.agent === true };
        const { rootKeys, rootThreshold } = flags;
        await signAndDeliver(delivery, async (draft) => ({
          update: await initTrust({ folder: draft, secret, clock: deps.clock, hub: keys, publisher, rootKeys, rootThreshold }),
        }));
      });
      printNote(out, `The keys are in ${folder.path}. Whoever holds them and their passphrase decides what your devices run.`);
      await showTrust(out, hub, deps.clock.now());
    });
}

/** Throws `TRUST_ROOT_EXISTS` when the hub's root of trust was made elsewhere: another one would be refused after the keys were made. */
async function requireNoRoot({ hub, folder }: OpenedPublisher): Promise<void> {
  if ((await folder.find())?.keeper !== undefined) return;
  const root = await hub.metadata('root.json');
  if (root === undefined) return;
  const { version } = parseMetadata('root', root);
  throw new SkerryError(
    'TRUST_ROOT_EXISTS',
    `this hub has a root of trust already (root version ${version}), whose keys are not in ${folder.path}`,
  );
}

function addShow(trust: Command, deps: PublisherCliDeps): void {
  const command = trust.command('show').alias('status').description('Show who may publish what, and when the signatures expire.');
  addHubOptions(command.addHelpText('after', '\nExample:\n  skerry trust show')).action(async (flags: HubFlags & { json?: boolean }) => {
    await showTrust(deps.output(flags.json === true), await openHub(deps, flags), deps.clock.now());
  });
}

function addRequest(trust: Command, deps: PublisherCliDeps): void {
  const command = trust
    .command('request')
    .description('Create a publisher key on this machine, and a request for the keeper of the root keys.')
    .requiredOption('--role <name>', `Name of the publisher: ${ROLE_NAME_RULE}.`)
    .option('--out <file>', 'File to write the request to. (default: ROLE.request.json)')
    .addHelpText('after', '\nExample:\n  skerry trust request --role alice --keys ./alice');
  addPublisherOptions(command).action(async (flags: PublisherFlags & { role: string; out?: string }) => {
    const opened = await openPublisher(deps, flags);
    const { out, hub, folder } = opened;
    const { fleet } = await hub.hubKeys();
    const secret = await openSecret(out, flags, true);
    const request = await exclusively(opened, deps, 'trust request', () =>
      createPublisher({ folder, secret, clock: deps.clock, role: flags.role, fleet }),
    );
    const path = resolve(flags.out ?? `${request.role}.request.json`);
    await writeFileAtomic(path, encodePublisherRequest(request));
    if (out.json) printJson(out, { request: path, role: request.role, publicKey: request.publicKey });
    else
      printLine(
        out,
        `Give ${path} to the root keeper, who runs: skerry trust add-publisher ${shellQuote(basename(path))} --models PATTERN (or --agent)`,
      );
  });
}

function addAddPublisher(trust: Command, deps: PublisherCliDeps): void {
  const command = trust
    .command('add-publisher')
    .description('Let a publisher publish models of the given names, or the agent itself. Needs the root keys.')
    .argument('<request.json>', 'File that "skerry trust request" wrote on the machine of the publisher.')
    .option('--models <pattern>', 'Model names that it may publish, with "*" as wildcard. Repeatable.', collectText, [])
    .option('--agent', 'Let it publish releases of the agent, the program that runs on every device.');
  command.addHelpText(
    'after',
    '\nThe options replace all earlier rights of the publisher. A key that signs agents decides which program runs on your devices:' +
      '\ngive that right to few publishers, and not to those that only publish models.' +
      '\n\nExamples:\n  skerry trust add-publisher alice.request.json --models "vad*"\n  skerry trust add-publisher releases.request.json --agent',
  );
  addPublisherOptions(command).action(async (path: string, flags: PublisherFlags & { models: readonly string[]; agent?: boolean }) => {
    const agent = flags.agent === true;
    if (flags.models.length === 0 && !agent)
      throw new SkerryError('CLI_USAGE', 'name what the publisher may publish: --models PATTERN, --agent, or both');
    const opened = await openPublisher(deps, flags);
    await requireFiles([path]);
    const bytes = await readFile(path).catch((cause: unknown) => {
      throw asSkerryError(cause, 'IO_FAILED');
    });
    const request = await currentRequest(opened.hub, decodePublisherRequest(bytes, path));
    await ceremony(opened, flags, deps, 'trust add-publisher', (options) =>
      addPublisher({ ...options, request, models: flags.models, agent }),
    );
  });
}

function addRemovePublisher(trust: Command, deps: PublisherCliDeps): void {
  const command = trust
    .command('remove-publisher')
    .description('Revoke the right of a publisher to publish. Needs the root keys.')
    .argument('<role>', 'Name of the publisher.')
    .addHelpText(
      'after',
      '\nDevices keep the versions they run and install nothing new from this publisher.\n\nExample:\n  skerry trust remove-publisher alice --keys ./publisher',
    );
  addPublisherOptions(command).action(async (role: string, flags: PublisherFlags) => {
    const opened = await openPublisher(deps, flags);
    await ceremony(opened, flags, deps, 'trust remove-publisher', (options) => removePublisher({ ...options, role }));
  });
}

function addRotateRoot(trust: Command, deps: PublisherCliDeps): void {
  const command = trust
    .command('rotate-root')
    .description('Replace the root keys. Devices accept the new ones automatically. Needs the root keys.')
    .option('--root-keys <n>', 'Number of root keys to create.', parseCount, 1)
    .option('--root-threshold <n>', 'Number of root keys that must sign together.', parseCount, 1)
    .option('--targets', 'Also replace the targets key.')
    .option('--hub-keys', 'Also accept new keys of the hub.')
    .addHelpText(
      'after',
      '\nExamples:\n  skerry trust rotate-root --keys ./publisher\n  skerry trust rotate-root --keys ./publisher --root-keys 3 --root-threshold 2',
    );
  addPublisherOptions(command).action(async (flags: RootFlags & { targets?: boolean; hubKeys?: boolean }) => {
    const opened = await openPublisher(deps, flags);
    const hub = flags.hubKeys === true ? await opened.hub.hubKeys() : undefined;
    const policy = { rootKeys: flags.rootKeys, rootThreshold: flags.rootThreshold, rotateTargets: flags.targets === true };
    await ceremony(opened, flags, deps, 'trust rotate-root', (options) =>
      rotateRoot({ ...options, ...policy, ...(hub === undefined ? {} : { hub }) }),
    );
  });
}

function addResign(trust: Command, deps: PublisherCliDeps): void {
  const command = trust.command('resign').description('Renew all signatures that this folder has keys for, before they expire.');
  command.addHelpText('after', '\nExample:\n  skerry trust resign --keys ./publisher');
  addPublisherOptions(command).action(async (flags: PublisherFlags) => {
    const opened = await openPublisher(deps, flags);
    await ceremony(opened, flags, deps, 'trust resign', (options) => renewFolder(options, opened.hub));
  });
}

/** Delivers what an earlier command left behind, then signs and delivers a change, and shows what holds now. */
async function ceremony(
  opened: OpenedPublisher,
  flags: PublisherFlags,
  deps: PublisherCliDeps,
  command: string,
  make: (options: Ceremony) => Promise<TrustUpdate>,
): Promise<void> {
  const { out, hub, folder } = opened;
  // Nothing is made where there is no publisher folder.
  await folder.record();
  await exclusively(opened, deps, command, async (delivery) => {
    await deliverPending(delivery);
    const secret = await openSecret(out, flags);
    await signAndDeliver(delivery, async (draft) => ({ update: await make({ folder: draft, secret, clock: deps.clock }) }));
  });
  await showTrust(out, hub, deps.clock.now());
}
