import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { KSERVE_V1_RULES } from '../integration/exchanges/kserve-v1-rules.js';
import { KSERVE_V2_RULES } from '../integration/exchanges/kserve-v2-rules.js';
import { MLFLOW_RULES } from '../integration/exchanges/mlflow-rules.js';
import { MLSERVER_GRPC_RULES } from '../integration/exchanges/mlserver-grpc-rules.js';
import { MLSERVER_RULES } from '../integration/exchanges/mlserver-rules.js';
import { TORCHSERVE_RULES } from '../integration/exchanges/torchserve-rules.js';
import { TRITON_RULES } from '../integration/exchanges/triton-rules.js';
import type { DifferenceRule } from '../integration/exchanges/rules.js';
import { PROJECT_ROOT } from '../kit/processes.js';

const PAGE = path.join(PROJECT_ROOT, 'docs/PROTOCOL.md');

/** Every table of differences in docs/PROTOCOL.md, by the name in its markers. */
const TABLES: Readonly<Record<string, readonly DifferenceRule[]>> = {
  'triton-http': TRITON_RULES,
  mlflow: MLFLOW_RULES,
  'kserve-v1': KSERVE_V1_RULES,
  'kserve-v2': KSERVE_V2_RULES,
  torchserve: TORCHSERVE_RULES,
  mlserver: MLSERVER_RULES,
  'mlserver-grpc': MLSERVER_GRPC_RULES,
};

/** docs/PROTOCOL.md with the tables as the rules have them, and as it is. */
export function protocolPage(): { readonly made: string; readonly written: string } {
  const written = readFileSync(PAGE, 'utf8');
  let made = written;
  for (const [name, rules] of Object.entries(TABLES)) {
    const [begin, end] = [`<!-- differences ${name}:begin -->`, `<!-- differences ${name}:end -->`];
    const [from, to] = [made.indexOf(begin), made.indexOf(end)];
    if (from === -1 || to < from) throw new Error(`docs/PROTOCOL.md has no place for the table of differences (${begin})`);
    made = `${made.slice(0, from)}${begin}\n${tableOf(rules)}\n${made.slice(to)}`;
  }
  return { made, written };
}

export function writeProtocolPage(): void {
  writeFileSync(PAGE, protocolPage().made);
}

function tableOf(rules: readonly DifferenceRule[]): string {
  const rows = rules.map(({ what, theirs, ours, reason }) => `| ${what} | ${theirs} | ${ours} | ${reason} |`);
  return ['| request | theirs | ours | reason |', '|---|---|---|---|', ...rows].join('\n');
}
