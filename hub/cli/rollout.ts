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
  start: 'start a draft',
  pause: 'tell nobody anything new; devices keep what they have',
  resume: 'go on where it was paused',
  approve: 'let the wave begin that waits for approval',
  abort: 'end it: devices that have the version keep it, those on the way go back',
  rollback: 'take the version back from every device that was told of it',
  retry: 'tell the devices again that failed or were silent',
} as const;

/** Where an action is to lead, when not to the rollout's completion. */
const GOALS: Readonly<Record<string, RolloutDetail['state'] | undefined>> = { abort: 'aborted', rollback: 'rolled-back' };

/** Adds `skerry rollout ...`. */
export function registerRolloutCommands(program: Command, deps: CliDeps): void {
  const rollout = program.command('rollout').description('move a version across devices in waves that watch themselves');
  registerCreate(rollout, deps);
  registerPlan(rollout, deps);
  registerReading(rollout, deps);
  registerPromote(rollout, deps);
  registerExclude(rollout, deps);
  for (const [action, description] of Object.entries(ACTIONS)) registerAction(rollout, action, description, deps);
}

function registerCreate(rollout: Command, deps: CliDeps): void {
  const create = hubCommand(rollout, 'create', 'create a rollout', [
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
    hubCommand(rollout, 'plan', 'show what a rollout would do to whom, without doing it', ['skerry rollout plan -f rollout.yaml']),
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
  const promote = hubCommand(rollout, 'promote', 'roll out a version whose shadow or A/B completed, in place of the old one', [
    'skerry rollout promote vad-6-1a2b3c4d --waves 5%,25%,100% --wait',
  ])
    .argument('<rollout>', 'the shadow or A/B')
    .option('--waves <sizes>', 'shares of the devices, earlier waves included; those of the trial when left out');
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
    .argument('<rollout>', 'its id')
    .option('--reason <text>', 'why, for the record');
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
  hubCommand(rollout, 'exclude', 'take devices out: who was not told is not told, who was told goes back', [
    'skerry rollout exclude vad-5-1a2b3c4d cam-7 cam-9 --reason "in repair"',
  ])
    .argument('<rollout>', 'its id')
    .argument('<device...>', 'devices that are part of it')
    .option('--reason <text>', 'why, for the record')
    .action(async (id: string, devices: string[], flags: CommonFlags & { readonly reason?: string }) => {
      const command = await openHubCommand(deps, flags);
      const reason = flags.reason === undefined ? {} : { reason: flags.reason };
      showRollout(command.out, await post(command, `${pathOf(id)}/exclude`, { devices, ...reason }), deps.clock);
    });
}

/** Options of commands that begin a rollout. */
function addBeginOptions(command: Command): Command {
  command
    .option('--draft', 'record it and wait for "skerry rollout start"')
    .option('--supersede', 'end a rollout of the same model on the same devices, and take its devices over');
  return addWaitOptions(command);
}

function beginning({ draft, supersede }: BeginFlags): { readonly draft: boolean; readonly supersede: boolean } {
  return { draft: draft === true, supersede: supersede === true };
}

async function post({ hub }: HubCommand, path: string, body: unknown): Promise<RolloutDetail> {
  const { rolloutDetailSchema } = await import('../rollouts/views.js');
  return hub.post(rolloutDetailSchema, path, body);
}
