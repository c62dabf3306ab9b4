import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Exported, Signal, SignalGate } from '#shared/signals/signal.js';
import { SIGNALS } from '#shared/signals/table.js';
import { PROJECT_ROOT } from '../kit/processes.js';

const PAGE = path.join(PROJECT_ROOT, 'docs/OPERATIONS.md');
const [BEGIN, END] = ['<!-- signals:begin -->', '<!-- signals:end -->'];

/** docs/OPERATIONS.md with the table of signals as `shared/signals/rows.ts` has it, and as it is. */
export function operationsPage(): { readonly made: string; readonly written: string } {
  const written = readFileSync(PAGE, 'utf8');
  const [from, to] = [written.indexOf(BEGIN), written.indexOf(END)];
  if (from === -1 || to < from) throw new Error(`docs/OPERATIONS.md has no place for the table of signals (${BEGIN})`);
  return { made: `${written.slice(0, from)}${BEGIN}\n${signalsTable()}\n${written.slice(to)}`, written };
}

export function writeOperationsPage(): void {
  writeFileSync(PAGE, operationsPage().made);
}

/** What docs/ROLLOUTS.md says of a gate's thresholds. */
export function thresholdsOf(gate: SignalGate): string {
  const numbers =
    gate.test === 'rate' || gate.test === 'quantile'
      ? [
          ...(gate.test === 'quantile' ? [['quantile', gate.quantile] as const] : []),
          ['tolerate', gate.tolerate] as const,
          ['ruleOut', gate.ruleOut] as const,
          ...(gate.test === 'rate' ? [['negligible', gate.negligible] as const] : []),
        ]
      : [['atMost', gate.atMost] as const, ['ruleOut', gate.ruleOut] as const];
  return numbers.map(([name, value]) => `\`${name}\` (${value})`).join(', ');
}

function signalsTable(): string {
  const rows = SIGNALS.rows.map(
    (signal) =>
      `| \`${signal.name}\` | ${signal.help} | ${signal.unit} | ${names(signal.agent)} | ${names(signal.hub)} | ${gateOf(signal)} |`,
  );
  return ['| signal | what | unit | `/metrics` of the agent | `/metrics` of the hub | gate |', '|---|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

function names(exported: readonly Exported[] = []): string {
  return [...new Set(exported.map(({ name }) => `\`${name}\``))].join(', ');
}

function gateOf({ name, gate }: Signal): string {
  return gate === undefined ? '' : `\`${gate.name ?? name}\``;
}
