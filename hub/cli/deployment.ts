import type { Command } from 'commander';
import { confirm } from '#shared/terminal/confirm.js';
import { counted } from '#shared/kernel/counted.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { formatAgo } from '#shared/terminal/format.js';
import { type Output, printJson, printLine, printNote, printTable } from '#shared/terminal/output.js';
import type { Deployment, DeploymentProgress, WithdrawnDeployment } from '../fleet/deployment-view.js';
import { parseModelVersion, parseSpan, parseWhole } from './arguments.js';
import { finishDeployment, nameOfDeployment, type WaitFlags } from './deploy.js';
import { type CliDeps, type CommonFlags, hubCommand, type HubCommand, openHubCommand } from './deps.js';

interface ListFlags extends CommonFlags {
  readonly limit: string;
  readonly all?: boolean;
}

interface RemoveFlags extends CommonFlags {
  readonly keep?: boolean;
  readonly yes?: boolean;
}

interface UndeployFlags extends WaitFlags {
  readonly to?: string;
  readonly all?: boolean;
  readonly supersede?: boolean;
}

/** Adds `skerry deployment list|show|remove`. */
export function registerDeploymentCommands(program: Command, deps: CliDeps): void {
  const deployment = program.command('deployment').description('Show and withdraw deployments.');
  hubCommand(deployment, 'list', 'List the active deployments, newest first.', [
    'skerry deployment list',
    'skerry deployment list --all --limit 500',
  ])
    .option('--all', 'Include withdrawn deployments.')
    .option('--limit <n>', 'Maximum number of deployments to list, newest first.', '100')
    .action(async (flags: ListFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { deploymentListSchema } = await import('../fleet/deployment-view.js');
      const limit = parseWhole(flags.limit, '--limit', 1, 1_000);
      const { deployments } = await hub.get(deploymentListSchema, '/api/v1/deployments', { limit, withdrawn: flags.all === true });
      if (out.json) printJson(out, { deployments });
      else printDeployments(out, deployments, deps.clock.now());
    });
  hubCommand(deployment, 'show', 'Show a deployment and the state of each of its devices.', ['skerry deployment show 12'])
    .argument('<deployment>', 'Number of the deployment, as in "skerry deployment list".')
    .action(async (id: string, flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { deploymentProgressSchema } = await import('../fleet/deployment-view.js');
      const shown = await hub.get(deploymentProgressSchema, pathOf(id));
      if (out.json) printJson(out, shown);
      else printDeployment(out, shown, deps.clock.now());
    });
  hubCommand(deployment, 'remove', 'Withdraw a deployment. Its devices return to the next deployment that covers them.', [
    'skerry deployment remove 12',
    'skerry deployment remove 12 --keep --yes',
  ])
    .argument('<deployment>', 'Number of the deployment, as in "skerry deployment list".')
    .option('--keep', 'Leave the model on the devices until another deployment or rollout covers them.')
    .option('--yes', 'Do not ask for confirmation.')
    .addHelpText(
      'after',
      '\nWhere no other deployment gives a device the model, the model is taken off that device, unless --keep is given.',
    )
    .action(async (id: string, flags: RemoveFlags) => remove(await openHubCommand(deps, flags), id, flags));
}

/** Adds `skerry undeploy`. */
export function registerUndeployCommand(program: Command, deps: CliDeps): void {
  hubCommand(program, 'undeploy', 'Remove a model from devices, and from matching devices that join later.', [
    'skerry undeploy vad --to site=lab --wait',
    'skerry undeploy vad --all',
  ])
    .argument('<model>', 'Name of the model.')
    .option('--to <selector>', 'Label selector of the devices, in the syntax of Kubernetes.')
    .option('--all', 'Select every device.')
    .option('--supersede', 'End running rollouts of the model on these devices. Without it, a running rollout refuses the command.')
    .option('--wait', 'Wait until every device has stopped serving the model.')
    .option('--timeout <duration>', 'With --wait: maximum time to wait.', '10m')
    .addHelpText(
      'after',
      '\nThe command creates a deployment without a version. "skerry deploy" brings the model back; "skerry deployment remove" withdraws this deployment.',
    )
    .action(async (name: string, flags: UndeployFlags) => {
      const { model, version } = parseModelVersion(name);
      if (version !== undefined)
        throw new SkerryError('CLI_USAGE', `undeploy removes all versions of a model; leave out the version: skerry undeploy ${model}`);
      if ((flags.to === undefined) !== (flags.all === true))
        throw new SkerryError('CLI_USAGE', 'name the devices with --to SELECTOR or --all');
      const timeout = parseSpan(flags.timeout, '--timeout');
      const command = await openHubCommand(deps, flags);
      const { createdDeploymentSchema } = await import('../fleet/deployment-view.js');
      const body = { model, version: null, selector: flags.to ?? '', supersede: flags.supersede === true };
      const created = await command.hub.post(createdDeploymentSchema, '/api/v1/deployments', body);
      await finishDeployment(command, created, flags.wait === true ? timeout : undefined, deps);
    });
}

async function remove({ out, hub }: HubCommand, id: string, flags: RemoveFlags): Promise<void> {
  const { withdrawnDeploymentSchema } = await import('../fleet/deployment-view.js');
  const keep = flags.keep === true;
  if (flags.yes !== true) {
    const planned = await hub.delete(withdrawnDeploymentSchema, pathOf(id), { keep, dryRun: true });
    await confirm(out, `Withdraw deployment ${id} (${nameOfDeployment(planned)})? ${consequences(planned)}.`);
  }
  const withdrawn = await hub.delete(withdrawnDeploymentSchema, pathOf(id), { keep });
  if (out.json) return printJson(out, withdrawn);
  printLine(out, `Withdrew deployment ${id} (${nameOfDeployment(withdrawn)}): ${consequences(withdrawn)}.`);
  if (withdrawn.version !== null) {
    printNote(
      out,
      `To undo this: skerry deploy ${nameOfDeployment(withdrawn)} ${withdrawn.selector === '' ? '--all' : `--to '${withdrawn.selector}'`}`,
    );
  }
}

/** What withdrawing a deployment comes to, in words. */
function consequences({ model, fellBack, takenOff, kept }: WithdrawnDeployment): string {
  const versions = [...new Set(fellBack.map(({ version }) => version))].toSorted((a, b) => a - b);
  const parts = versions.map((version) => {
    const devices = fellBack.filter((entry) => entry.version === version).map((entry) => entry.device);
    return `${counted(devices.length, 'device')} go to ${model}@${version} (${some(devices)})`;
  });
  if (takenOff.length > 0) parts.push(`${model} is taken off ${counted(takenOff.length, 'device')} (${some(takenOff)})`);
  if (kept.length > 0) parts.push(`${counted(kept.length, 'device')} keep what they have (${some(kept)})`);
  return parts.join('; ') || 'no device follows it now';
}

function some(names: readonly string[]): string {
  return names.slice(0, NAMED).join(', ') + (names.length > NAMED ? ', ...' : '');
}

const NAMED = 5;

function printDeployments(out: Output, deployments: readonly Deployment[], now: number): void {
  printTable(
    out,
    [
      { title: 'deployment', align: 'right', value: (row: Deployment) => row.id },
      { title: 'version', value: (row) => nameOfDeployment(row) },
      { title: 'to', value: (row) => (row.selector === '' ? 'all devices' : row.selector) },
      { title: 'by', value: (row) => row.createdBy },
      { title: 'made', value: (row) => formatAgo(Date.parse(row.createdAt), now) },
      { title: '', value: (row) => (row.withdrawnAt === null ? undefined : `withdrawn ${formatAgo(Date.parse(row.withdrawnAt), now)}`) },
    ],
    deployments,
    'No deployments; make one with "skerry deploy".',
  );
}

function printDeployment(out: Output, deployment: DeploymentProgress, now: number): void {
  const { id, selector, createdBy, createdAt, withdrawnAt, withdrawnBy, rollout } = deployment;
  printLine(out, `deployment ${id}: ${nameOfDeployment(deployment)} to ${selector === '' ? 'all devices' : selector}`);
  printLine(out, `made ${formatAgo(Date.parse(createdAt), now)} by ${rollout === null ? createdBy : `the rollout ${rollout}`}`);
  if (withdrawnAt !== null)
    printLine(out, `withdrawn ${formatAgo(Date.parse(withdrawnAt), now)} by ${withdrawnBy ?? `the rollout ${rollout ?? ''}`}`);
  printTable(
    out,
    [
      { title: 'device', value: (row: DeploymentProgress['devices'][number]) => row.device },
      { title: 'state', value: (row) => row.state },
      { title: 'error', value: (row) => (row.error === undefined ? undefined : `${row.error.code}: ${row.error.message}`) },
    ],
    deployment.devices,
    'No device matches it now.',
  );
}

function pathOf(id: string): string {
  if (!/^[1-9]\d{0,14}$/.test(id))
    throw new SkerryError('CLI_USAGE', `"${id}" is not the number of a deployment; "skerry deployment list" shows the numbers`);
  return `/api/v1/deployments/${id}`;
}
