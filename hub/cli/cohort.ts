import type { Command } from 'commander';
import { printJson, printLine, printTable } from '#shared/terminal/output.js';
import { formatAgo } from '#shared/terminal/format.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';

/** Adds `skerry cohort list|save|remove`. */
export function registerCohortCommands(program: Command, deps: CliDeps): void {
  const cohort = program.command('cohort').description('Manage cohorts: named label selectors for rollouts.');
  hubCommand(cohort, 'list', 'List the saved cohorts.', ['skerry cohort list']).action(async (flags: CommonFlags) => {
    const { out, hub } = await openHubCommand(deps, flags);
    const { cohortListSchema } = await import('../rollouts/cohort-view.js');
    const answer = await hub.get(cohortListSchema, '/api/v1/cohorts');
    if (out.json) return printJson(out, answer);
    const rows = answer.cohorts;
    printTable(
      out,
      [
        { title: 'cohort', value: (row: (typeof rows)[number]) => row.name },
        { title: 'selector', value: (row) => row.selector },
        { title: 'saved', value: (row) => `${formatAgo(Date.parse(row.updatedAt), deps.clock.now())} by ${row.updatedBy}` },
      ],
      rows,
      'No cohorts yet; save one with "skerry cohort save".',
    );
  });
  hubCommand(cohort, 'save', 'Save a label selector under a name.', ["skerry cohort save gold 'tier in (gold),!legacy'"])
    .argument('<name>', 'Name of the cohort.')
    .argument('<selector>', 'Label selector of the devices, in the syntax of Kubernetes.')
    .action(async (name: string, selector: string, flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { savedCohortSchema } = await import('../rollouts/cohort-view.js');
      const saved = await hub.put(savedCohortSchema, `/api/v1/cohorts/${encodeURIComponent(name)}`, { selector });
      if (out.json) printJson(out, saved);
      else printLine(out, `${saved.name}: ${saved.selector}`);
    });
  hubCommand(cohort, 'remove', 'Remove a saved cohort.', ['skerry cohort remove gold'])
    .argument('<name>', 'Name of the cohort.')
    .action(async (name: string, flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      await hub.remove(`/api/v1/cohorts/${encodeURIComponent(name)}`);
      printLine(out, `removed ${name}`);
    });
}
