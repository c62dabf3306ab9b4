import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { type Figure, machine, printFigures } from '../figure.js';
import { writeFigures } from '../figure-tables.js';
import type { FigureGroup } from './figure-group.js';
import { GROUPS } from './groups.js';
import { LoadClient } from './load.js';

const options = new Command('npm run bench:serve --')
  .description('Measures what serving adds to a prediction, beside direct ONNX Runtime in the same run.')
  .option('--only <groups>', `groups to measure, with commas between them: ${GROUPS.map(({ name }) => name).join(', ')}`)
  .option('--json <file>', 'write the figures as [{name, value, unit, aim, holds}]')
  .option('--docs', 'write the table of figures into docs/FIGURES.md')
  .option('--quick', 'a fifth of the requests')
  .option('--soak [predictions]', 'measure growth over so many predictions (a million)')
  .option('--peers', 'measure MLServer and the Python server of KServe, installed from PyPI into a folder of the cache')
  .parse(process.argv)
  .opts<{ only?: string; json?: string; docs?: boolean; quick?: boolean; soak?: string | true; peers?: boolean }>();

const groups = chosen(options.only);
const predictions = typeof options.soak === 'string' ? Number(options.soak) : 1_000_000;
const client = await LoadClient.open();
if (!client.isCompiled) console.log('no C compiler: the client is written in JavaScript, costs more, and leaves gRPC out');
const figures: Figure[] = [];
try {
  for (const { name, measure } of groups) {
    const found = await measure({ client, scale: options.quick === true ? 0.2 : 1, soak: predictions });
    printFigures(`${name} (${machine()})`, found);
    figures.push(...found);
  }
} finally {
  await client.close();
}
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, null, 2)}\n`);
if (options.docs === true) {
  const flags = `${options.only === undefined ? '' : ` --only ${options.only}`}${options.soak === undefined ? '' : ` --soak ${predictions}`}${options.peers === true ? ' --peers' : ''}${options.quick === true ? ' --quick' : ''}`;
  const intro = `Measured by \`npm run bench:serve -- --docs${flags}\` on ${machine()}; client and server share the machine. ${groups.map(({ what }) => what).join(' ')}`;
  await writeFigures({ file: 'docs/FIGURES.md', marker: 'serve-figures', intro, figures });
}

/** The groups named, or all that are not long; and those that an option of their own asks for. */
function chosen(only: string | undefined): readonly FigureGroup[] {
  const asked = [...(options.soak === undefined ? [] : ['soak']), ...(options.peers === true ? ['peers'] : [])];
  const usual =
    only?.split(',') ??
    (asked.length > 0 && options.docs !== true ? [] : GROUPS.filter(({ isLong }) => isLong !== true).map(({ name }) => name));
  return [...new Set([...usual, ...asked])].map((name) => {
    const group = GROUPS.find((one) => one.name === name.trim());
    if (group === undefined) throw new Error(`there is no group ${name}; there are ${GROUPS.map((one) => one.name).join(', ')}`);
    return group;
  });
}
