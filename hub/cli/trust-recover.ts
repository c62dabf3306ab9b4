import { Option, type Command } from 'commander';
import { SkerryError } from '#shared/kernel/errors.js';
import { type Output, printJson, printLine, printNote, printTable } from '#shared/terminal/output.js';
import { readOutgoing } from '../publisher/outgoing.js';
import { compareWithHub } from '../publisher/trust-compare.js';
import { deliverPending } from '../publisher/trust-delivery.js';
import { lostVersions, planRecovery, recover, type RecoveryAction, type RecoveryStep, type Take } from '../publisher/trust-recovery.js';
import { addPublisherOptions, openPublisher, type OpenedPublisher, type PublisherCliDeps, type PublisherFlags } from './publisher-deps.js';
import { exclusively } from './trust-exclusive.js';

interface RecoverFlags extends PublisherFlags {
  readonly yes?: boolean;
  readonly take?: Take;
}

/** Adds `skerry trust recover`. */
export function addRecover(trust: Command, deps: PublisherCliDeps): void {
  const command = trust
    .command('recover')
    .description('Restore what a publisher folder or a hub lacks from the other one.')
    .option('--yes', 'Apply the changes. Without it, the command is a dry run.')
    .addOption(new Option('--take <side>', 'Side to keep where folder and hub have diverged.').choices(['hub']));
  command.addHelpText(
    'after',
    '\nA folder or hub that was restored from a backup lacks what was signed since. The command verifies everything it copies' +
      '\nagainst the public keys in the folder. It signs nothing, so it asks for no passphrase.' +
      '\n\nExamples:\n  skerry trust recover --keys ./publisher\n  skerry trust recover --keys ./publisher --yes',
  );
  addPublisherOptions(command).action(async (flags: RecoverFlags) => {
    const opened = await openPublisher(deps, flags);
    await opened.folder.record();
    if (flags.yes === true) await exclusively(opened, deps, 'trust recover', (delivery) => apply(opened, flags, delivery));
    else await show(opened, flags);
  });
}

async function show({ out, hub, folder }: OpenedPublisher, { take }: RecoverFlags): Promise<void> {
  const steps = planRecovery(await compareWithHub(folder, hub), take);
  const pending = await readOutgoing(folder);
  if (out.json) {
    printJson(out, {
      steps,
      pending: pending === undefined ? null : { command: pending.command, signedAt: pending.signedAt },
      applied: false,
    });
    return;
  }
  if (pending !== undefined) printLine(out, `first: deliver what "${pending.command}" signed at ${pending.signedAt}`);
  printSteps(out, steps);
  if (isInStep(steps)) {
    if (pending === undefined) printLine(out, 'folder and hub are in step');
  } else if (steps.some(({ action }) => action === 'decide')) printNote(out, decideText(folder.path));
  if (pending !== undefined || !isInStep(steps)) printNote(out, 'nothing was changed; the same command with --yes does it');
}

async function apply(
  { out, hub, folder }: OpenedPublisher,
  { take }: RecoverFlags,
  delivery: Parameters<typeof recover>[0],
): Promise<void> {
  await deliverPending(delivery);
  const steps = planRecovery(await compareWithHub(folder, hub), take);
  const [undecided] = steps.filter(({ action }) => action === 'decide');
  if (undecided !== undefined) {
    throw new SkerryError('TRUST_FOLDER_DIVERGED', `role ${undecided.role}: ${decideText(folder.path)}`);
  }
  await recover(delivery, take);
  const lost = await lostVersions(folder, hub);
  if (out.json) {
    printJson(out, { steps, pending: null, applied: true, publishAgain: lost });
    return;
  }
  printSteps(out, steps);
  printLine(out, isInStep(steps) ? 'folder and hub are in step' : 'done; folder and hub are in step');
  for (const { model, version } of lost) printLine(out, `publish again from the same file, the hub lacks its content: ${model}@${version}`);
}

function isInStep(steps: readonly RecoveryStep[]): boolean {
  return steps.every(({ action }) => action === 'none');
}

const ACTIONS: Readonly<Record<RecoveryAction, (step: RecoveryStep) => string>> = {
  none: () => 'in step',
  adopt: ({ hub }) => `the folder takes over version ${hub} from the hub`,
  deliver: ({ folder }) => `the hub gets version ${folder} from the folder`,
  decide: () => 'each holds what the other never had',
};

function printSteps(out: Output, steps: readonly RecoveryStep[]): void {
  printTable(
    out,
    [
      { title: 'role', value: (step: RecoveryStep) => step.role },
      { title: 'folder', align: 'right', value: (step) => versionText(step.folder) },
      { title: 'hub', align: 'right', value: (step) => versionText(step.hub) },
      { title: 'what is to be done', value: (step) => ACTIONS[step.action](step) },
    ],
    steps,
  );
}

function versionText(version: number): string {
  return version === 0 ? '-' : String(version);
}

function decideText(path: string): string {
  return (
    `${path} and the hub each hold a file that the other never had: two copies of the folder were used. ` +
    'Use the other copy, or go on from what the hub holds with --take hub'
  );
}
