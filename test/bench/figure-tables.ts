import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PROJECT_ROOT } from '../kit/processes.js';
import type { Figure } from './figure.js';

export interface FiguresPlace {
  /** Below the project's root. */
  readonly file: string;
  /** The table stands between `<!-- MARKER:begin -->` and `<!-- MARKER:end -->`. */
  readonly marker: string;
  /** One sentence above the table: by what it was measured, and where. */
  readonly intro: string;
  readonly figures: readonly Figure[];
}

/** Replaces a table of figures in a page, so that none is ever typed by hand. */
export async function writeFigures({ file, marker, intro, figures }: FiguresPlace): Promise<void> {
  const page = path.join(PROJECT_ROOT, file);
  const begin = `<!-- ${marker}:begin -->`;
  const text = await readFile(page, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(`<!-- ${marker}:end -->`);
  if (from === -1 || to < from) throw new Error(`${file} has no place for figures (${begin} ... )`);
  const rows = figures.map(({ name, value, unit, aim, holds }) => `| ${name} | ${value} ${unit} | ${aim ?? ''} | ${verdict(holds)} |`);
  const table = [intro, '', '| what | measured | aim | |', '|---|---|---|---|', ...rows].join('\n');
  await writeFile(page, `${text.slice(0, from)}${begin}\n${table}\n${text.slice(to)}`);
}

function verdict(holds: boolean | null): string {
  if (holds === null) return '';
  return holds ? 'holds' : 'does not hold';
}
