import { spawnSync } from 'node:child_process';
import { readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { PROJECT_ROOT } from '../kit/processes.js';
import { atMost, type Figure, machine, median, plain, printFigures } from './figure.js';
import { measureAgent } from './package-agent.js';
import { writeFigures } from './figure-tables.js';

const MEGABYTE = 1e6;
const NODE_STARTS = 9;

const options = new Command('npm run bench:package --')
  .description('Measures the packaged agent beside the agent from source, on this machine, with a real hub.')
  .option('--json <file>', 'write the figures as [{name, value, unit, aim, holds}]')
  .option('--docs', 'write the table of figures into docs/FIGURES.md')
  .option('--packages <folder>', 'packages that are built already (npm run package), instead of building them')
  .parse(process.argv)
  .opts<{ json?: string; docs?: boolean; packages?: string }>();

const packages = options.packages ?? buildPackages();
const figures = [
  ...(await sizes(packages)),
  ...(await measureAgent('packaged', { 'skerry-agent': [await executableIn(packages)] })),
  ...(await measureAgent('from source', {})),
  nodeAlone(),
];
printFigures(machine(), figures);
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, null, 2)}\n`);
if (options.docs === true) {
  const intro = `Measured by \`npm run bench:package -- --docs\` on ${machine()}; one agent with Silero VAD. MB are 10^6 bytes.`;
  await writeFigures({ file: 'docs/FIGURES.md', marker: 'package-figures', intro, figures });
}

function buildPackages(): string {
  const out = path.join(PROJECT_ROOT, 'packaging/out/bench');
  const args = ['--target', `linux-${process.arch}`, '--program', 'agent', '--format', 'executable', 'deb', '--out', out];
  const built = spawnSync(process.execPath, [path.join(PROJECT_ROOT, 'dist/packaging/main.js'), ...args], { stdio: ['ignore', 2, 2] });
  if (built.status !== 0) throw new Error('the packages could not be built');
  return out;
}

async function executableIn(folder: string): Promise<string> {
  return path.join(folder, await nameIn(folder, /^skerry-agent-linux-[a-z0-9]+$/));
}

async function nameIn(folder: string, pattern: RegExp): Promise<string> {
  const name = (await readdir(folder)).find((each) => pattern.test(each));
  if (name === undefined) throw new Error(`${folder} has no file named like ${pattern.source}`);
  return name;
}

/** How fast this machine starts anything, in the same hour: what the starts above are to be compared with. */
function nodeAlone(): Figure {
  const millis: number[] = [];
  for (let i = 0; i < NODE_STARTS; i += 1) {
    const begun = performance.now();
    spawnSync(process.execPath, ['-e', '0'], { stdio: 'ignore' });
    millis.push(performance.now() - begun);
  }
  return plain(`beside these: node -e 0, exec to exit (median of ${NODE_STARTS})`, median(millis), 'ms');
}

async function sizes(folder: string): Promise<readonly Figure[]> {
  const deb = (await stat(path.join(folder, await nameIn(folder, /^skerry-agent_.*\.deb$/)))).size;
  const executable = (await stat(await executableIn(folder))).size;
  return [atMost('download (.deb)', deb / MEGABYTE, 'MB', 45), plain('executable on the disk', executable / MEGABYTE, 'MB')];
}
