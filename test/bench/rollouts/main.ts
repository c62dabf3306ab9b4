import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { rateInterval } from '#shared/stats/rate-limit.js';
import { atMost, type Figure, machine, median, plain, printFigures } from '../figure.js';
import { writeFigures } from '../figure-tables.js';
import { Pool } from './pool.js';
import type { Outcome } from './run.js';
import { BAD, FLEETS } from './scenarios.js';
import { DECIDERS, type Decider } from './task.js';
import { GOOD, type Truth } from './truth.js';

const options = new Command('npm run bench:rollouts --')
  .description(
    'Drives the real controller and gates with simulated fleets of 1,000 devices, and counts what they let through and what they stop.',
  )
  .option('--runs <n>', 'rollouts of a good version', '2000')
  .option('--bad <n>', 'rollouts of each bad version, and of a good one in each other fleet', '100')
  .option('--quick', 'a tenth of the rollouts: to see that it works, not what it measures')
  .option('--json <file>', 'write the figures as [{name, value, unit, aim, holds}]')
  .option('--docs', 'write the tables into docs/ROLLOUTS.md')
  .parse(process.argv)
  .opts<{ runs: string; bad: string; quick?: boolean; json?: string; docs?: boolean }>();
const RUNS = Number(options.runs) / (options.quick === true ? 10 : 1);
const BAD_RUNS = Number(options.bad) / (options.quick === true ? 10 : 1);
/** The budget for false alarms that the simulated rollouts state. */
const BUDGET = 0.01;

const pool = new Pool();

function many(decider: Decider, runs: number, changes: Partial<Truth>, from = 1): Promise<Outcome[]> {
  return pool.run({ decider, changes, from, runs });
}

function share(outcomes: readonly Outcome[], test: (outcome: Outcome) => boolean): number {
  return outcomes.filter(test).length / outcomes.length;
}

const stoppedByGate = (outcome: Outcome): boolean => outcome.state === 'rolled-back';
const paused = (outcome: Outcome): boolean => outcome.state === 'paused';
const caughtEarly = (outcome: Outcome): boolean => outcome.stoppedIn === 1 || outcome.stoppedIn === 2;

function atLeast(name: string, value: number, unit: string, bound: number): Figure {
  return { name, value: Number(value.toPrecision(3)), unit, aim: `>= ${bound}`, holds: value >= bound };
}

async function goodVersions(): Promise<Figure[]> {
  const outcomes = await many('gates', RUNS, {});
  const alarms = outcomes.filter(stoppedByGate).length;
  const bounds = rateInterval({ events: alarms, exposure: RUNS }, 0.05);
  const figures = [
    atMost(`good version: stopped wrongly, of ${RUNS} rollouts at a budget of ${BUDGET}`, alarms / RUNS, 'share', BUDGET),
    plain('good version: upper 95 % bound of that share', bounds.upper, 'share'),
    plain('good version: paused for lack of evidence', share(outcomes, paused), 'share'),
    plain('good version: hours to the last device (median)', median(outcomes.map((outcome) => outcome.hours)), 'h'),
  ];
  for (const { name, changes } of FLEETS) {
    const others = await many('gates', BAD_RUNS, changes, 100_000);
    figures.push(atMost(`good version, ${name}: stopped wrongly`, share(others, stoppedByGate), 'share', BUDGET));
    figures.push(plain(`good version, ${name}: paused`, share(others, paused), 'share'));
  }
  for (const rule of DECIDERS.slice(1)) {
    const others = await many(rule, BAD_RUNS, {});
    figures.push(plain(`good version, ${rule}: stopped wrongly`, share(others, stoppedByGate), 'share'));
  }
  return figures;
}

async function badVersion({ name, changes, early }: (typeof BAD)[number]): Promise<Figure[]> {
  const outcomes = await many('gates', BAD_RUNS, changes);
  const caught = share(outcomes, caughtEarly);
  const what = `${name}: caught in the first two waves`;
  const figures = [
    early === undefined ? plain(what, caught, 'share') : atLeast(what, caught, 'share', early),
    plain(`${name}: rolled back by a gate`, share(outcomes, stoppedByGate), 'share'),
    ...exposure(name, outcomes),
  ];
  for (const rule of DECIDERS.slice(1)) {
    const others = await many(rule, BAD_RUNS, changes);
    figures.push(plain(`${name}, ${rule}: caught in the first two waves`, share(others, caughtEarly), 'share'));
    figures.push(...exposure(`${name}, ${rule}`, others));
  }
  return figures;
}

function exposure(name: string, outcomes: readonly Outcome[]): Figure[] {
  return [
    plain(`${name}: devices exposed (median)`, median(outcomes.map((outcome) => outcome.devices)), 'devices'),
    plain(`${name}: predictions exposed (median)`, median(outcomes.map((outcome) => outcome.predictions)), 'predictions'),
  ];
}

const began = performance.now();
const figures: Figure[] = [];
try {
  for (const bad of BAD) {
    const group = await badVersion(bad);
    printFigures(bad.name, group);
    figures.push(...group);
  }
  const good = await goodVersions();
  printFigures('good versions', good);
  figures.push(...good);
} finally {
  await pool.close();
}
const took = `${machine()}; ${Math.round((performance.now() - began) / 1000)} s`;
console.log(`\n${took}`);
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, null, 2)}\n`);
if (options.docs === true) {
  const intro = `Measured by \`npm run bench:rollouts -- --docs\` with fleets of ${GOOD.devices} devices, ${RUNS} rollouts of a good version and ${BAD_RUNS} of each other kind, on ${took}.`;
  await writeFigures({ file: 'docs/ROLLOUTS.md', marker: 'simulator', intro, figures });
}
process.exitCode = figures.some((figure) => figure.holds === false) ? 1 : 0;
