import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { PROGRAMS } from '#packaging/targets.js';
import { PROJECT_ROOT } from '../kit/processes.js';
import { machine, median } from './figure.js';
import type { Step } from './memory-steps.js';

const PAGE = path.join(PROJECT_ROOT, 'docs/OPERATIONS.md');
const BEGIN = '<!-- memory:begin -->';
const END = '<!-- memory:end -->';
const RUNS = 5;

const options = new Command('npm run bench:memory --')
  .description('Measures what each part of an agent from source adds to its memory (Linux).')
  .option('--docs', 'write the table into docs/OPERATIONS.md')
  .parse(process.argv)
  .opts<{ docs?: boolean }>();

const runs = Array.from({ length: RUNS }, runSteps);
const table = [
  `Measured by \`npm run bench:memory -- --docs\` on ${machine()}; medians of ${RUNS}, in MiB.`,
  '',
  '| part | adds | of its own | of files | total |',
  '|---|---|---|---|---|',
  ...(runs[0] ?? []).map((step, at) => {
    const figures = [
      added('resident', at),
      added('own', at),
      added('file', at),
      median(runs.map((run) => run[at]?.resident ?? Number.NaN)),
    ];
    return `| ${step.part} | ${figures.map((value) => value.toFixed(1)).join(' | ')} |`;
  }),
].join('\n');
console.log(table);
if (options.docs === true) await writePage(table);

function runSteps(): readonly Step[] {
  const script = path.join(PROJECT_ROOT, 'dist/test/bench/memory-steps.js');
  const printed = execFileSync(process.execPath, [...PROGRAMS.agent.nodeFlags, script], { encoding: 'utf8' });
  return JSON.parse(printed) as readonly Step[];
}

/** Median of what the step added in each run. */
function added(field: 'resident' | 'own' | 'file', at: number): number {
  return median(runs.map((run) => (run[at]?.[field] ?? Number.NaN) - (run[at - 1]?.[field] ?? 0)));
}

async function writePage(text: string): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from === -1 || to < from) throw new Error(`${PAGE} has no place for the table (${BEGIN} ... ${END})`);
  await writeFile(PAGE, `${page.slice(0, from)}${BEGIN}\n${text}\n${page.slice(to)}`);
}
