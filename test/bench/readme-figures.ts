import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PROJECT_ROOT } from '../kit/processes.js';
import type { Figure } from './figure.js';

const BEGIN = '<!-- figures:begin -->';
const END = '<!-- figures:end -->';

/** Replaces the table of figures in README.md, so that none is ever typed by hand. */
export async function writeReadmeFigures(figures: readonly Figure[], machine: string): Promise<void> {
  const file = path.join(PROJECT_ROOT, 'README.md');
  const text = await readFile(file, 'utf8');
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END);
  if (from === -1 || to < from) throw new Error(`README.md has no place for figures (${BEGIN} ... ${END})`);
  const rows = figures.map(({ name, value, unit, aim, holds }) => `| ${name} | ${value} ${unit} | ${aim ?? ''} | ${verdict(holds)} |`);
  const table = [
    `Measured by \`npm run bench -- --readme\` on ${machine}.`,
    '',
    '| what | measured | aim | |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
  await writeFile(file, `${text.slice(0, from)}${BEGIN}\n${table}\n${text.slice(to)}`);
}

function verdict(holds: boolean | null): string {
  if (holds === null) return '';
  return holds ? 'holds' : 'does not hold';
}
