import type { Command } from 'commander';
import { printJson } from '#shared/terminal/output.js';
import type { RolloutDetail } from '../rollouts/views.js';
import { parseSpan } from './arguments.js';
import { type CliDeps, type CommonFlags, hubCommand, type HubCommand, openHubCommand } from './deps.js';
import { type DocumentFlags, readDocument, withDocument } from './rollout-document.js';
import { addWaitOptions, follow, type WaitFlags } from './rollout-follow.js';
import { registerReading } from './rollout-reading.js';
import { pathOf, showRollout } from './rollout-show.js';
import { printPlan } from './rollout-view.js';

interface BeginFlags extends WaitFlags {
  readonly draft?: boolean;
  readonly supersede?: boolean;
}

const ACTIONS = {
  start: 'Start a draft.',
  pause: 'Pause a rollout. Devices keep the version they have.',
  resume: 'Resume a paused rollout.',
  approve: 'Approve the wave that waits for approval.',
  abort: 'Abort a rollout. Devices that serve the version keep it; devices in flight roll back.',
  rollback: 'Roll back every device of a rollout.',
  retry: 'Retry devices that failed or did not report.',
} as const;

/** Where an action is to lead, when not to the rollout's completion. */
const GOALS: Readonly<Record<string, RolloutDetail['state'] | undefined>> = { abort: 'aborted', rollback: 'rolled-back' };

/** Adds `skerry rollout ...`. */
export function registerRolloutCommands(program: Command, deps: CliDeps): void {
  const rollout = program.command('rollout').description('Roll out a version in waves, each checked by gates.');
  registerCreate(rollout, deps);
  registerPlan(rollout, deps);
  registerReading(rollout, deps);
  registerPromote(rollout, deps);
  registerExclude(rollout, deps);
  for (const [action, description] of Object.entries(ACTIONS)) registerAction(rollout, action, description, deps);
}

function registerCreate(rollout: Command, deps: CliDeps): void {
  const create = hubCommand(rollout, 'create', 'Create a rollout and start it.', [
    'skerry rollout create -f rollout.yaml --wait',
    "skerry rollout create vad@5 --to 'site=lab' --waves 5%,25%,100% --bake 1h",
  ]);
  addBeginOptions(withDocument(create)).action(async (name: string | undefined, flags: DocumentFlags & BeginFlags) => {
    const timeout = parseSpan(flags.timeout, '--timeout');
    const document = await readDocument(name, flags);
    const command = await openHubCommand(deps, flags);
    const created = await post(command, '/api/v1/rollouts', { document, ...beginning(flags) });
    if (flags.wait === true) process.exitCode = await follow(command, created.id, timeout, deps.clock);
    else showRollout(command.out, created, deps.clock);
  });
}

function registerPlan(rollout: Command, deps: CliDeps): void {
  withDocument(
    hubCommand(rollout, 'plan', 'Show what a rollout would do, without creating it.', ['skerry rollout plan -f rollout.yaml']),
  ).action(async (name: string | undefined, flags: DocumentFlags) => {
    const document = await readDocument(name, flags);
    const { out, hub } = await openHubCommand(deps, flags);
    const { planViewSchema } = await import('../rollouts/views.js');
    const plan = await hub.post(planViewSchema, '/api/v1/rollouts/plan', { document });
    if (out.json) printJson(out, plan);
    else printPlan(out, plan, deps.clock.now());
  });
}

function registerPromote(rollout: Command, deps: CliDeps): void {
  const promote = hubCommand(rollout, 'promote', 'Roll out the version of a completed shadow or A/B rollout.', [
    'skerry rollout promote vad-6-1a2b3c4d --waves 5%,25%,100% --wait',
  ])
    .argument('<rollout>', 'Id of the shadow or A/B rollout.')
    .option('--waves <sizes>', 'Cumulative sizes of the waves: percentages or numbers of devices. (default: those of the shadow or A/B)');
  addBeginOptions(promote).action(async (id: string, flags: BeginFlags & { readonly waves?: string }) => {
    const timeout = parseSpan(flags.timeout, '--timeout');
    const command = await openHubCommand(deps, flags);
    const waves = flags.waves === undefined ? {} : { waves: flags.waves.split(',').map((size) => size.trim()) };
    const created = await post(command, `${pathOf(id)}/promote`, { ...waves, ...beginning(flags) });
    if (flags.wait === true) process.exitCode = await follow(command, created.id, timeout, deps.clock);
    else showRollout(command.out, created, deps.clock);
  });
}

function registerAction(rollout: Command, action: string, description: string, deps: CliDeps): void {
  const command = hubCommand(rollout, action, description, [`skerry rollout ${action} vad-5-1a2b3c4d --reason "night shift"`])
    .argument('<rollout>', 'Id of the rollout, as in "skerry rollout list".')
    .option('--reason <text>', 'Reason, recorded with the decision.');
  addWaitOptions(command, GOALS[action]).action(async (id: string, flags: WaitFlags & { readonly reason?: string }) => {
    const timeout = parseSpan(flags.timeout, '--timeout');
    const opened = await openHubCommand(deps, flags);
    const body = flags.reason === undefined ? {} : { reason: flags.reason };
    const detail = await post(opened, `${pathOf(id)}/${action}`, body);
    if (flags.wait === true) process.exitCode = await follow(opened, id, timeout, deps.clock, GOALS[action]);
    else showRollout(opened.out, detail, deps.clock);
  });
}

function registerExclude(rollout: Command, deps: CliDeps): void {
  hubCommand(rollout, 'exclude', 'Exclude devices from a rollout. Those that have the version roll back.', [
    'skerry rollout exclude vad-5-1a2b3c4d cam-7 cam-9 --reason "in repair"',
  ])
    .argument('<rollout>', 'Id of the rollout, as in "skerry rollout list".')
    .argument('<device...>', 'Names of devices in the rollout.')
    .option('--reason <text>', 'Reason, recorded with the decision.')
    .action(async (id: string, devices: string[], flags: CommonFlags & { readonly reason?: string }) => {
      const command = await openHubCommand(deps, flags);
      const reason = flags.reason === undefined ? {} : { reason: flags.reason };
      showRollout(command.out, await post(command, `${pathOf(id)}/exclude`, { devices, ...reason }), deps.clock);
    });
}

/** Options of commands that begin a rollout. */
function addBeginOptions(command: Command): Command {
  command
    .option('--draft', 'Create the rollout as a draft. "skerry rollout start" starts it.')
    .option('--supersede', 'End a running rollout of the same model on these devices and take over its devices.');
  return addWaitOptions(command);
}

function beginning({ draft, supersede }: BeginFlags): { readonly draft: boolean; readonly supersede: boolean } {
  return { draft: draft === true, supersede: supersede === true };
}

async function post({ hub }: HubCommand, path: string, body: unknown): Promise<RolloutDetail> {
  const { rolloutDetailSchema } = await import('../rollouts/views.js');
  return hub.post(rolloutDetailSchema, path, body);
}
