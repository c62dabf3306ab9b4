import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { type Clock, type Millis, sleep } from '#shared/kernel/clock.js';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { formatAgo, formatDuration } from '#shared/terminal/format.js';
import { type Output, printJson, printLine, printTable } from '#shared/terminal/output.js';
import type { ExitCode } from '#shared/terminal/run-cli.js';
import type { RolloutDetail } from '../rollouts/views.js';
import { parseModelVersion, parseSpan } from './arguments.js';
import { type CliDeps, type CommonFlags, hubCommand, type HubCommand, openHubCommand } from './deps.js';
import { exitOf, printDecisions, printOutcome, printPlan, printRollout } from './rollout-view.js';

interface DocumentFlags extends CommonFlags {
  readonly file?: string;
  readonly to?: string;
  readonly all?: boolean;
  readonly waves: string;
  readonly bake?: string;
  readonly onFailure?: string;
}

interface CreateFlags extends DocumentFlags, WaitFlags {
  readonly draft?: boolean;
  readonly supersede?: boolean;
}

interface WaitFlags extends CommonFlags {
  readonly wait?: boolean;
  readonly timeout: string;
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

const POLL: Millis = 1_000;
const EXIT_CODES = '\nWith --wait the exit code is 0 when it completed, 1 when it ended in another way, 3 when it waits for a person.';

/** Adds `skerry rollout ...`. */
export function registerRolloutCommands(program: Command, deps: CliDeps): void {
  const rollout = program.command('rollout').description('move a version across devices in waves that watch themselves');
  withDocument(
    hubCommand(rollout, 'create', 'create a rollout', [
      'skerry rollout create -f rollout.yaml --wait',
      "skerry rollout create vad@5 --to 'site=lab' --waves 5%,25%,100% --bake 1h",
    ]),
  )
    .option('--draft', 'record it and wait for "skerry rollout start"')
    .option('--supersede', 'end a rollout of the same model on the same devices, and take its devices over')
    .option('--wait', 'watch it until it ends or waits for a person')
    .option('--timeout <duration>', 'with --wait: give up after this long', '24h')
    .addHelpText('after', EXIT_CODES)
    .action(async (name: string | undefined, flags: CreateFlags) => {
      const timeout = parseSpan(flags.timeout, '--timeout');
      const document = await readDocument(name, flags);
      const command = await openHubCommand(deps, flags);
      const { rolloutDetailSchema } = await import('../rollouts/views.js');
      const body = { document, draft: flags.draft === true, supersede: flags.supersede === true };
      const created = await command.hub.post(rolloutDetailSchema, '/api/v1/rollouts', body);
      if (flags.wait === true) process.exitCode = await follow(command, created.id, timeout, deps.clock);
      else show(command.out, created, deps.clock);
    });
  withDocument(
    hubCommand(rollout, 'plan', 'show what a rollout would do to whom, without doing it', ['skerry rollout plan -f rollout.yaml']),
  ).action(async (name: string | undefined, flags: DocumentFlags) => {
    const document = await readDocument(name, flags);
    const { out, hub } = await openHubCommand(deps, flags);
    const { planViewSchema } = await import('../rollouts/views.js');
    const plan = await hub.post(planViewSchema, '/api/v1/rollouts/plan', { document });
    if (out.json) printJson(out, plan);
    else printPlan(out, plan);
  });
  registerReading(rollout, deps);
  registerPromote(rollout, deps);
  for (const [action, description] of Object.entries(ACTIONS)) registerAction(rollout, action, description, deps);
}

function registerReading(rollout: Command, deps: CliDeps): void {
  hubCommand(rollout, 'list', 'list the rollouts', ['skerry rollout list']).action(async (flags: CommonFlags) => {
    const { out, hub } = await openHubCommand(deps, flags);
    const { rolloutListSchema } = await import('../rollouts/views.js');
    const answer = await hub.get(rolloutListSchema, '/api/v1/rollouts');
    if (out.json) return printJson(out, answer);
    const rows = answer.rollouts;
    printTable(
      out,
      [
        { title: 'rollout', value: (row: (typeof rows)[number]) => row.id },
        { title: 'version', value: (row) => `${row.model}@${row.version}` },
        { title: 'state', value: (row) => row.state },
        { title: 'wave', value: (row) => `${Math.min(row.wave + 1, row.waves)} of ${row.waves}` },
        { title: 'cohort', value: (row) => (row.cohort === '' ? 'all' : row.cohort) },
        { title: 'since', value: (row) => formatAgo(Date.parse(row.since), deps.clock.now()) },
      ],
      rows,
      'No rollouts yet; create one with "skerry rollout create".',
    );
  });
  hubCommand(rollout, 'show', 'show waves, gates and what it waits for', ['skerry rollout show vad-5-1a2b3c4d'])
    .argument('<rollout>', 'its id')
    .action(async (id: string, flags: CommonFlags) => {
      const command = await openHubCommand(deps, flags);
      const detail = await read(command, id);
      show(command.out, detail, deps.clock);
      if (isTrial(detail) && !command.out.json) await showOutcome(command, id);
    });
  hubCommand(rollout, 'outcome', 'show the new version and the old one side by side, since the first wave began', [
    'skerry rollout outcome vad-5-1a2b3c4d',
    'skerry rollout outcome vad-5-1a2b3c4d --json',
  ])
    .argument('<rollout>', 'its id')
    .addHelpText(
      'after',
      '\nOf a shadow or an A/B it is kept for good; of others for as long as the figures of single devices (a week at most).',
    )
    .action(async (id: string, flags: CommonFlags) => showOutcome(await openHubCommand(deps, flags), id));
  hubCommand(rollout, 'watch', 'show it whenever something changed, until it ends or waits for a person', [
    'skerry rollout watch vad-5-1a2b3c4d',
  ])
    .argument('<rollout>', 'its id')
    .option('--timeout <duration>', 'give up after this long', '24h')
    .addHelpText('after', EXIT_CODES.replace('With --wait the', 'The'))
    .action(async (id: string, flags: WaitFlags) => {
      const timeout = parseSpan(flags.timeout, '--timeout');
      process.exitCode = await follow(await openHubCommand(deps, flags), id, timeout, deps.clock);
    });
  hubCommand(rollout, 'explain', 'print every decision: who or which gate, on which figures', ['skerry rollout explain vad-5-1a2b3c4d'])
    .argument('<rollout>', 'its id')
    .action(async (id: string, flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { decisionListSchema } = await import('../rollouts/views.js');
      const { decisions } = await hub.get(decisionListSchema, `${pathOf(id)}/decisions`);
      if (out.json) printJson(out, { decisions });
      else printDecisions(out, decisions);
    });
  hubCommand(rollout, 'devices', 'show where each device stands', ['skerry rollout devices vad-5-1a2b3c4d'])
    .argument('<rollout>', 'its id')
    .action(async (id: string, flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { rolloutDevicesSchema } = await import('../rollouts/views.js');
      const { devices } = await hub.get(rolloutDevicesSchema, `${pathOf(id)}/devices`);
      if (out.json) return printJson(out, { devices });
      printTable(
        out,
        [
          { title: 'device', value: (row: (typeof devices)[number]) => row.device },
          { title: 'wave', align: 'right', value: (row) => (row.wave === null ? undefined : row.wave + 1) },
          { title: 'status', value: (row) => row.status },
          { title: 'before', align: 'right', value: (row) => row.previous ?? undefined },
          { title: 'error', value: (row) => (row.error === null ? undefined : `${row.error.code}: ${row.error.message}`) },
        ],
        devices,
      );
    });
}

function registerPromote(rollout: Command, deps: CliDeps): void {
  hubCommand(rollout, 'promote', 'roll out a version whose shadow or A/B completed, in place of the old one', [
    'skerry rollout promote vad-6-1a2b3c4d --waves 5%,25%,100% --wait',
  ])
    .argument('<rollout>', 'the shadow or A/B')
    .option('--waves <sizes>', 'shares of the devices, earlier waves included; those of the trial when left out')
    .option('--draft', 'record it and wait for "skerry rollout start"')
    .option('--supersede', 'end a rollout of the same model on the same devices, and take its devices over')
    .option('--wait', 'watch it until it ends or waits for a person')
    .option('--timeout <duration>', 'with --wait: give up after this long', '24h')
    .addHelpText('after', EXIT_CODES)
    .action(async (id: string, flags: Pick<CreateFlags, 'draft' | 'supersede'> & WaitFlags & { readonly waves?: string }) => {
      const timeout = parseSpan(flags.timeout, '--timeout');
      const command = await openHubCommand(deps, flags);
      const { rolloutDetailSchema } = await import('../rollouts/views.js');
      const waves = flags.waves === undefined ? {} : { waves: flags.waves.split(',').map((size) => size.trim()) };
      const body = { ...waves, draft: flags.draft === true, supersede: flags.supersede === true };
      const created = await command.hub.post(rolloutDetailSchema, `${pathOf(id)}/promote`, body);
      if (flags.wait === true) process.exitCode = await follow(command, created.id, timeout, deps.clock);
      else show(command.out, created, deps.clock);
    });
}

function registerAction(rollout: Command, action: string, description: string, deps: CliDeps): void {
  hubCommand(rollout, action, description, [`skerry rollout ${action} vad-5-1a2b3c4d --reason "night shift"`])
    .argument('<rollout>', 'its id')
    .option('--reason <text>', 'why, for the record')
    .option('--wait', 'watch it until it ends or waits for a person')
    .option('--timeout <duration>', 'with --wait: give up after this long', '24h')
    .addHelpText('after', GOALS[action] === undefined ? EXIT_CODES : EXIT_CODES.replace('when it completed', `when it is ${GOALS[action]}`))
    .action(async (id: string, flags: WaitFlags & { readonly reason?: string }) => {
      const timeout = parseSpan(flags.timeout, '--timeout');
      const command = await openHubCommand(deps, flags);
      const { rolloutDetailSchema } = await import('../rollouts/views.js');
      const body = flags.reason === undefined ? {} : { reason: flags.reason };
      const detail = await command.hub.post(rolloutDetailSchema, `${pathOf(id)}/${action}`, body);
      if (flags.wait === true) process.exitCode = await follow(command, id, timeout, deps.clock, GOALS[action]);
      else show(command.out, detail, deps.clock);
    });
}

function withDocument(command: Command): Command {
  return command
    .argument('[model@version]', 'the version, when no file says it')
    .option('-f, --file <file>', 'rollout document, YAML or JSON')
    .option('--to <selector>', 'labels of the devices, as in Kubernetes')
    .option('--all', 'every device')
    .option('--waves <sizes>', 'shares of the devices, earlier waves included', '5%,25%,100%')
    .option('--bake <duration>', 'how long each wave is watched at least')
    .option('--on-failure <what>', 'pause, rollback-wave or rollback-all');
}

async function readDocument(name: string | undefined, flags: DocumentFlags): Promise<unknown> {
  if ((name === undefined) === (flags.file === undefined))
    throw new SkerryError('CLI_USAGE', 'say which version, or give a document with -f');
  if (flags.file !== undefined) return readYaml(flags.file);
  const { model, version } = parseModelVersion(name ?? '');
  if (version === undefined) throw new SkerryError('CLI_USAGE', `say which version, as in ${model}@1`);
  if ((flags.to === undefined) !== (flags.all === true)) throw new SkerryError('CLI_USAGE', 'say which devices: --to SELECTOR or --all');
  return {
    model,
    version,
    cohort: flags.to ?? '',
    waves: flags.waves.split(',').map((size) => size.trim()),
    ...(flags.bake === undefined ? {} : { bake: flags.bake }),
    ...(flags.onFailure === undefined ? {} : { onFailure: flags.onFailure }),
  };
}

/** The document as written; the hub checks what it means, with every bad path. */
async function readYaml(file: string): Promise<unknown> {
  const { parseYaml } = await import('../rollouts/document-text.js');
  try {
    const bytes = await readFile(file);
    if (bytes.byteLength > LIMITS.rolloutBytes)
      throw new SkerryError('INPUT_TOO_LARGE', `${file} has more than ${LIMITS.rolloutBytes} bytes`);
    return parseYaml(bytes.toString('utf8'));
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    throw new SkerryError('CLI_USAGE', `there is no file ${file}`, { cause });
  }
}

async function read({ hub }: HubCommand, id: string): Promise<RolloutDetail> {
  const { rolloutDetailSchema } = await import('../rollouts/views.js');
  return hub.get(rolloutDetailSchema, pathOf(id));
}

function isTrial({ strategy }: RolloutDetail): boolean {
  return strategy === 'shadow' || strategy === 'ab';
}

async function showOutcome({ out, hub }: HubCommand, id: string): Promise<void> {
  const { outcomeSchema } = await import('../rollouts/outcome.js');
  const outcome = await hub.get(outcomeSchema, `${pathOf(id)}/outcome`);
  if (out.json) printJson(out, outcome);
  else printOutcome(out, outcome);
}

function show(out: Output, rollout: RolloutDetail, clock: Clock): void {
  if (out.json) printJson(out, rollout);
  else printRollout(out, rollout, clock.now());
}

/** Prints the rollout whenever it changed, until it ends or waits for a person; with `--json` its last state only. */
async function follow(
  command: HubCommand,
  id: string,
  timeout: Millis,
  clock: Clock,
  goal: RolloutDetail['state'] = 'completed',
): Promise<ExitCode> {
  const begun = clock.monotonic();
  let shown = '';
  for (;;) {
    const rollout = await read(command, id);
    const exit = exitOf(rollout.state, goal);
    const view = JSON.stringify([rollout.state, rollout.wave, rollout.waveViews, rollout.outlook?.results.map((result) => result.outcome)]);
    if (exit !== undefined || (view !== shown && !command.out.json)) {
      if (shown !== '') printLine(command.out);
      show(command.out, rollout, clock);
    }
    shown = view;
    if (exit !== undefined) {
      if (isTrial(rollout) && !command.out.json) await showOutcome(command, id);
      return exit;
    }
    if (clock.monotonic() - begun > timeout) {
      throw new SkerryError('TIMEOUT', `after ${formatDuration(timeout)} the rollout is still ${rollout.state}`, {
        details: { rollout: id, state: rollout.state },
      });
    }
    await sleep(clock, POLL);
  }
}

function pathOf(id: string): string {
  return `/api/v1/rollouts/${encodeURIComponent(id)}`;
}
