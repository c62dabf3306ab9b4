import type { Command } from 'commander';
import { sleep } from '#shared/kernel/clock.js';
import { counted } from '#shared/kernel/counted.js';
import type { Millis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { formatDuration } from '#shared/terminal/format.js';
import { type Output, paint, printJson, printLine, printNote } from '#shared/terminal/output.js';
import { createProgress, type Progress, type ProgressBar } from '#shared/terminal/progress.js';
import { EXIT, type ExitCode } from '#shared/terminal/run-cli.js';
import type { CreatedDeployment, DeploymentPlan, DeploymentProgress } from '../fleet/deployment-view.js';
import { parseModelVersion, parseSpan } from './arguments.js';
import { deployOutcome, deployPercent } from './deploy-outcome.js';
import { type CliDeps, type CommonFlags, hubCommand, type HubCommand, openHubCommand } from './deps.js';
import { printIncapable } from './incapable-view.js';
import { patientReader } from './patience.js';

export interface WaitFlags extends CommonFlags {
  readonly wait?: boolean;
  readonly timeout: string;
}

interface DeployFlags extends WaitFlags {
  readonly to?: string;
  readonly all?: boolean;
  readonly retry?: boolean;
  readonly supersede?: boolean;
  readonly dryRun?: boolean;
}

type DeviceProgress = DeploymentProgress['devices'][number];

/** Beyond so many devices one bar stands for all of them. */
const MOST_BARS = 24;
const POLL_LEAST: Millis = 300;

/** Adds `skerry deploy`. */
export function registerDeployCommand(program: Command, deps: CliDeps): void {
  hubCommand(program, 'deploy', 'Deploy a version to devices, and to matching devices that join later.', [
    'skerry deploy vad@5 --to site=lab --wait',
    "skerry deploy vad@5 --to 'site in (lab,field),!legacy' --wait --timeout 30m",
    'skerry deploy vad@5 --all --retry',
  ])
    .argument('<model@version>', 'Version, such as vad@5.')
    .option('--to <selector>', 'Label selector of the devices, in the syntax of Kubernetes.')
    .option('--all', 'Select every device.')
    .option('--retry', 'Retry on devices that refused this version before.')
    .option('--dry-run', 'Show which devices the deployment would reach, and which of them cannot run the version; deploy nothing.')
    .option('--supersede', 'End running rollouts of the model on these devices. Without it, a running rollout refuses the command.')
    .option('--wait', 'Show progress until every device serves or refuses the version.')
    .option('--timeout <duration>', 'With --wait: maximum time to wait.', '10m')
    .addHelpText('after', '\nExit code with --wait: 0 when all devices serve the version, 3 when some do, 1 when none does.')
    .action(async (name: string, flags: DeployFlags) => {
      const { model, version } = parseModelVersion(name);
      if (version === undefined) throw new SkerryError('CLI_USAGE', `the version is missing; name it as in ${model}@1`);
      if ((flags.to === undefined) !== (flags.all === true))
        throw new SkerryError('CLI_USAGE', 'name the devices with --to SELECTOR or --all');
      const timeout = parseSpan(flags.timeout, '--timeout');
      const command = await openHubCommand(deps, flags);
      const { createdDeploymentSchema, deploymentPlanSchema } = await import('../fleet/deployment-view.js');
      const body = { model, version, selector: flags.to ?? '', retry: flags.retry === true, supersede: flags.supersede === true };
      if (flags.dryRun === true) {
        const plan = await command.hub.post(deploymentPlanSchema, '/api/v1/deployments/plan', body);
        if (command.out.json) printJson(command.out, plan);
        else printPlanned(command.out, 'would deploy', plan);
        return;
      }
      const created = await command.hub.post(createdDeploymentSchema, '/api/v1/deployments', body);
      await finishDeployment(command, created, flags.wait === true ? timeout : undefined, deps);
    });
}

/** Says what was decided; with a time to wait, until each device has answered. */
export async function finishDeployment(
  command: HubCommand,
  created: CreatedDeployment,
  patience: Millis | undefined,
  deps: CliDeps,
): Promise<void> {
  if (patience === undefined) printCreated(command.out, created);
  else process.exitCode = await wait(command, created, patience, deps);
}

/** What a deployment gives devices, as people write it. */
export function nameOfDeployment({ model, version }: Pick<CreatedDeployment, 'model' | 'version'>): string {
  return version === null ? `no ${model}` : `${model}@${version}`;
}

function printCreated(out: Output, created: CreatedDeployment): void {
  if (out.json) return printJson(out, created);
  printPlanned(out, `deployment ${created.id}:`, created);
}

function printPlanned(out: Output, what: string, plan: DeploymentPlan): void {
  const where = plan.selector === '' ? 'all devices' : plan.selector;
  printLine(out, `${what} ${nameOfDeployment(plan)} to ${where}, ${counted(plan.matched, 'device')} now`);
  printIncapable(out, 'cannot run it yet', plan.incapable);
  for (const rollout of plan.superseded) printLine(out, `ends the rollout ${rollout}`);
}

async function wait({ out, hub }: HubCommand, created: CreatedDeployment, timeout: Millis, deps: CliDeps): Promise<ExitCode> {
  const { deploymentProgressSchema } = await import('../fleet/deployment-view.js');
  const begun = deps.clock.monotonic();
  const progress = await createProgress(out);
  const bars = deviceBars(progress, nameOfDeployment(created));
  printNote(out, `deployment ${created.id}: ${counted(created.matched, 'device')}`);
  for (const rollout of created.superseded) printNote(out, `ended the rollout ${rollout}`);
  try {
    const read = patientReader(out, () => hub.get(deploymentProgressSchema, `/api/v1/deployments/${created.id}`));
    let state: DeploymentProgress | undefined;
    for (;;) {
      const asked = deps.clock.monotonic();
      const answer = await read();
      const now = deps.clock.monotonic();
      state = answer ?? state;
      if (answer !== undefined) {
        bars(answer.devices);
        const outcome = deployOutcome(answer.devices);
        if (outcome.kind === 'settled') {
          progress.close();
          printOutcome(out, answer, outcome.exit, now - begun);
          return outcome.exit;
        }
      }
      if (state !== undefined && now - begun > timeout) throw incomplete(state, timeout);
      // A large fleet makes a large answer; asking for it may take a tenth of the time at most.
      await sleep(deps.clock, Math.max(POLL_LEAST, (now - asked) * 10));
    }
  } finally {
    progress.close();
  }
}

function incomplete(state: DeploymentProgress, timeout: Millis): SkerryError {
  const open = state.devices.filter((device) => !['serving', 'removed', 'refused', 'unsupported', 'superseded'].includes(device.state));
  const named = open
    .slice(0, 10)
    .map((device) => `${device.device} (${device.state})`)
    .join(', ');
  return new SkerryError(
    'DEPLOY_INCOMPLETE',
    `after ${formatDuration(timeout)} ${open.length} of ${state.devices.length} devices are not done: ${named}`,
    { details: { deployment: state.id, counts: state.counts, devices: open.slice(0, 100).map((device) => device.device) } },
  );
}

function printOutcome(out: Output, state: DeploymentProgress, exit: ExitCode, took: Millis): void {
  if (out.json) return printJson(out, { ...state, seconds: took / 1_000 });
  const name = nameOfDeployment(state);
  const { serving, removed, superseded } = state.counts;
  if (state.devices.length === 0) printLine(out, `no device matches now; those that come to match get ${name}`);
  else {
    const done =
      state.version === null
        ? `${removed} of ${state.devices.length} devices stopped serving ${state.model}`
        : `${serving} of ${state.devices.length} devices serve ${name}`;
    const text = `${done} after ${formatDuration(took)}`;
    printLine(out, paint(out, exit === EXIT.ok ? 'green' : 'yellow', text));
  }
  if (superseded > 0) printLine(out, `${superseded} were given something newer meanwhile`);
  printReasons(out, state, 'unsupported', 'yellow', 'cannot run it until their agents are updated:');
  printReasons(out, state, 'refused', 'red', 'refused it:');
}

/** Devices in a state, each with its reason. */
function printReasons(
  out: Output,
  { devices }: DeploymentProgress,
  state: DeviceProgress['state'],
  colour: 'red' | 'yellow',
  text: string,
): void {
  const named = devices.filter((device) => device.state === state);
  if (named.length === 0) return;
  printLine(out, paint(out, colour, `${named.length} ${text}`));
  for (const { device, error } of named) printLine(out, `  ${device}  ${error === undefined ? '' : `${error.code}: ${error.message}`}`);
}

/** A bar for each device of a small fleet, one for all of a large one. */
function deviceBars(progress: Progress, label: string): (devices: readonly DeviceProgress[]) => void {
  const bars = new Map<string, ProgressBar>();
  const done = new Set<string>();
  const barOf = (name: string, total: number): ProgressBar => {
    const bar = bars.get(name) ?? progress.bar(name, total);
    bars.set(name, bar);
    return bar;
  };
  return (devices) => {
    if (devices.length > MOST_BARS) {
      const settled = devices.filter((device) => deployPercent(device) === 100).length;
      barOf(label, devices.length).update(
        settled,
        `${devices.filter((device) => device.state === 'serving' || device.state === 'removed').length} done`,
      );
      return;
    }
    for (const device of devices) {
      if (done.has(device.device)) continue;
      const bar = barOf(device.device, 100);
      if (device.state === 'serving' || device.state === 'removed' || device.state === 'superseded') bar.finish(device.state);
      else if (device.state === 'refused' || device.state === 'unsupported') bar.fail(device.error?.code ?? device.state);
      else bar.update(deployPercent(device), device.install ?? device.state);
      if (deployPercent(device) === 100) done.add(device.device);
    }
  };
}
