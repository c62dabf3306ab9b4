import type { Command } from 'commander';
import { paint, printJson, printTable } from '#shared/terminal/output.js';
import type { AuditRecord } from '../api/views.js';
import { parseWhole } from './arguments.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';

interface AuditFlags extends CommonFlags {
  readonly limit: string;
  readonly actor?: string;
  readonly action?: string;
}

/** Adds `skerry audit`. */
export function registerAuditCommand(program: Command, deps: CliDeps): void {
  hubCommand(program, 'audit', 'Show who changed what, when and from where.', [
    'skerry audit --limit 20',
    'skerry audit --action model:publish --json',
  ])
    .option('--limit <n>', 'Maximum number of records, newest first.', '50')
    .option('--actor <name>', 'Show only actions of this token or device.')
    .option('--action <capability>', 'Show only this kind of action, such as model:publish.')
    .action(async (flags: AuditFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { auditListSchema } = await import('../api/views.js');
      const limit = parseWhole(flags.limit, '--limit', 1, 1_000);
      const answer = await hub.get(auditListSchema, '/api/v1/audit', { limit, actor: flags.actor, action: flags.action });
      if (out.json) return printJson(out, answer);
      const outcome = (row: AuditRecord): string =>
        row.outcome === 'ok' ? paint(out, 'green', 'ok') : paint(out, 'red', `${row.outcome} ${row.code ?? ''}`);
      printTable(
        out,
        [
          { title: 'when', value: (row) => row.at.slice(0, 19).replace('T', ' ') },
          { title: 'who', value: (row) => row.actor },
          {
            title: 'did',
            value: (row) => `${row.action}${typeof row.detail?.['action'] === 'string' ? ` (${row.detail['action']})` : ''}`,
          },
          { title: 'to', value: (row) => row.target },
          { title: 'from', value: (row) => row.source },
          { title: 'outcome', value: outcome },
        ],
        answer.records,
        flags.actor === undefined && flags.action === undefined ? 'Nothing was changed yet.' : 'Nothing of that kind was done.',
      );
    });
}
