import type { Command } from 'commander';
import { formatAgo } from '#shared/terminal/format.js';
import { printJson, printTable } from '#shared/terminal/output.js';
import { parseSpan, parseWhole } from './arguments.js';
import type { RolloutSummary } from '../rollouts/views.js';
import { type CliDeps, type CommonFlags, hubCommand, type HubCommand, openHubCommand } from './deps.js';
import { EXIT_CODES, follow, type WaitFlags } from './rollout-follow.js';
import { isTrial, pathOf, readRollout, showOutcome, showRollout } from './rollout-show.js';
import { printDecisions } from './rollout-view.js';

interface ListFlags extends CommonFlags {
  readonly limit?: string;
}

/** Rollouts asked for at once. */
const PAGE = 100;

/** Adds the commands that change nothing: `skerry rollout list`, `show`, `outcome`, `watch`, `explain`, `devices`. */
export function registerReading(rollout: Command, deps: CliDeps): void {
  addList(rollout, deps);
  addShow(rollout, deps);
  addOutcome(rollout, deps);
  addWatch(rollout, deps);
  addExplain(rollout, deps);
  addDevices(rollout, deps);
}

function addList(rollout: Command, deps: CliDeps): void {
  const list = hubCommand(rollout, 'list', 'List the rollouts.', ['skerry rollout list', 'skerry rollout list --limit 20']);
  list.option('--limit <n>', 'Maximum number of rollouts to list, newest first. (default: all)').action(async (flags: ListFlags) => {
    const command = await openHubCommand(deps, flags);
    const { out } = command;
    const rows = await listRollouts(command, flags.limit === undefined ? Infinity : parseWhole(flags.limit, '--limit', 1, 100_000));
    if (out.json) return printJson(out, { rollouts: rows });
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
}

function addShow(rollout: Command, deps: CliDeps): void {
  hubCommand(rollout, 'show', 'Show the waves and gates of a rollout, and what it waits for.', ['skerry rollout show vad-5-1a2b3c4d'])
    .argument('<rollout>', 'Id of the rollout, as in "skerry rollout list".')
    .action(async (id: string, flags: CommonFlags) => {
      const command = await openHubCommand(deps, flags);
      const detail = await readRollout(command, id);
      showRollout(command.out, detail, deps.clock);
      if (isTrial(detail) && !command.out.json) await showOutcome(command, id);
    });
}

function addOutcome(rollout: Command, deps: CliDeps): void {
  hubCommand(rollout, 'outcome', 'Compare the new version with the old one since the first wave began.', [
    'skerry rollout outcome vad-5-1a2b3c4d',
    'skerry rollout outcome vad-5-1a2b3c4d --json',
  ])
    .argument('<rollout>', 'Id of the rollout, as in "skerry rollout list".')
    .addHelpText(
      'after',
      '\nThe outcome of a shadow or A/B rollout is kept for good. Others keep it as long as the hub keeps figures of single devices (at most a week).',
    )
    .action(async (id: string, flags: CommonFlags) => showOutcome(await openHubCommand(deps, flags), id));
}

function addWatch(rollout: Command, deps: CliDeps): void {
  hubCommand(rollout, 'watch', 'Watch a rollout until it ends or waits for an operator.', ['skerry rollout watch vad-5-1a2b3c4d'])
    .argument('<rollout>', 'Id of the rollout, as in "skerry rollout list".')
    .option('--timeout <duration>', 'Maximum time to watch.', '24h')
    .addHelpText('after', EXIT_CODES.replace(' with --wait', ''))
    .action(async (id: string, flags: WaitFlags) => {
      const timeout = parseSpan(flags.timeout, '--timeout');
      process.exitCode = await follow(await openHubCommand(deps, flags), id, timeout, deps.clock);
    });
}

function addExplain(rollout: Command, deps: CliDeps): void {
  hubCommand(rollout, 'explain', 'Print every decision of a rollout: who or which gate made it, on which figures.', [
    'skerry rollout explain vad-5-1a2b3c4d',
  ])
    .argument('<rollout>', 'Id of the rollout, as in "skerry rollout list".')
    .action(async (id: string, flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { decisionListSchema } = await import('../rollouts/views.js');
      const { decisions } = await hub.get(decisionListSchema, `${pathOf(id)}/decisions`);
      if (out.json) printJson(out, { decisions });
      else printDecisions(out, decisions);
    });
}

function addDevices(rollout: Command, deps: CliDeps): void {
  hubCommand(rollout, 'devices', 'Show the state of each device in a rollout.', ['skerry rollout devices vad-5-1a2b3c4d'])
    .argument('<rollout>', 'Id of the rollout, as in "skerry rollout list".')
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
          { title: 'status', value: (row) => (row.released === null ? row.status : `${row.status} (${row.released.why})`) },
          { title: 'before', align: 'right', value: (row) => row.previous ?? undefined },
          { title: 'error', value: (row) => (row.error === null ? undefined : `${row.error.code}: ${row.error.message}`) },
        ],
        devices,
      );
    });
}

/** The newest rollouts, a page at a time. */
async function listRollouts({ hub }: HubCommand, most: number): Promise<RolloutSummary[]> {
  const { rolloutListSchema } = await import('../rollouts/views.js');
  const rollouts: RolloutSummary[] = [];
  while (rollouts.length < most) {
    const limit = Math.min(PAGE, most - rollouts.length);
    const page = await hub.get(rolloutListSchema, '/api/v1/rollouts', { limit, before: rollouts.at(-1)?.id });
    rollouts.push(...page.rollouts);
    if (page.rollouts.length < limit) break;
  }
  return rollouts;
}
