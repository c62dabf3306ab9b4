import type { Command } from 'commander';
import { type ModelName, modelNameSchema, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { counted } from '#shared/kernel/counted.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { confirm } from '#shared/terminal/confirm.js';
import { formatBytes } from '#shared/terminal/format.js';
import { printJson, printLine, printNote } from '#shared/terminal/output.js';
import { retire } from '../publisher/retire.js';
import { checkSecret, chooseRole } from '../publisher/target-signer.js';
import { addPublisherOptions, openPublisher, openSecret, type PublisherCliDeps, type PublisherFlags } from './publisher-deps.js';

interface RetireFlags extends PublisherFlags {
  readonly role?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** Adds `skerry model retire`. */
export function addRetireCommand(model: Command, deps: PublisherCliDeps): void {
  const command = model
    .command('retire')
    .description('Retire unused versions: sign their removal and delete them on the hub. Needs the publisher keys.')
    .argument('<model@versions>', 'Version or range of versions, such as vad@3 or vad@1..40.')
    .option('--role <name>', 'Publisher to sign as. Required when the folder holds several.')
    .option('--dry-run', 'Show which versions would be retired and what would be freed; change nothing.')
    .option('--yes', 'Do not ask for confirmation.');
  addPublisherOptions(command)
    .addHelpText(
      'after',
      '\nThe newest version of a model stays. While deployments, running rollouts or devices need one of the versions, the command is refused and names them.' +
        '\nA number is never used again. Devices that still have a retired version continue to serve it.' +
        '\n\nExamples:\n  skerry model retire vad@1..40 --dry-run\n  skerry model retire vad@3 --keys ./publisher',
    )
    .action((name: string, flags: RetireFlags) => runRetire(deps, name, flags));
}

async function runRetire(deps: PublisherCliDeps, name: string, flags: RetireFlags): Promise<void> {
  const range = parseRange(name);
  const { out, hub, folder } = await openPublisher(deps, flags);
  // Numbers in between that were never used, or are retired, are passed over; one that is named alone has to be there.
  const known = (await hub.versions(range.model)).map(({ version }) => version);
  const inRange = known.filter((version) => version >= range.from && version <= range.to).toSorted((a, b) => a - b);
  const newest = Math.max(...known);
  const versions = range.from === range.to ? [range.from] : inRange.filter((version) => version !== newest);
  if (versions.length === 0) throw new SkerryError('VERSION_UNKNOWN', `there is nothing to retire of ${name}`);
  if (range.from !== range.to && versions.length < inRange.length)
    printNote(out, `${range.model}@${newest} is the newest version and stays`);
  const preview = await hub.previewRetirement(range.model, versions);
  const what = `${range.model}@${versions.join(', ')}`;
  const frees = `${counted(preview.artifacts, 'file')}, ${formatBytes(preview.bytes)}`;
  if (flags.dryRun === true) {
    if (out.json) printJson(out, { ...preview, dryRun: true });
    else printLine(out, `Would retire ${what}: ${frees} would be given back.`);
    return;
  }
  const role = await chooseRole(folder, flags.role);
  if (flags.yes !== true) await confirm(out, `Retire ${what} for good? The numbers cannot be used again.`);
  const secret = await openSecret(out, flags);
  await checkSecret(folder, role, secret);
  const done = await retire({ folder, secret, hub, clock: deps.clock, role, note: (text) => printNote(out, text) }, range.model, versions);
  if (out.json) printJson(out, { ...preview, retired: done });
  else printLine(out, done ? `Retired ${what}: ${frees} given back.` : `${what} is retired already.`);
}

interface Range {
  readonly model: ModelName;
  readonly from: VersionNumber;
  readonly to: VersionNumber;
}

/** `name@3` or `name@1..40`; `CLI_USAGE`. */
function parseRange(text: string): Range {
  const match = /^(.+)@(\d{1,15})(?:\.\.(\d{1,15}))?$/.exec(text);
  const model = modelNameSchema.safeParse(match?.[1]);
  const from = versionNumberSchema.safeParse(Number(match?.[2]));
  const to = versionNumberSchema.safeParse(Number(match?.[3] ?? match?.[2]));
  if (model.success && from.success && to.success && from.data <= to.data) return { model: model.data, from: from.data, to: to.data };
  throw new SkerryError('CLI_USAGE', `"${text}" names no versions; write vad@3 or vad@1..40`);
}
