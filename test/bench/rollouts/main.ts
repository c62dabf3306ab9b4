import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { hours } from '#shared/kernel/clock.js';
import { rateInterval } from '#shared/stats/rate-limit.js';
import { atMost, type Figure, machine, median, plain, printFigures } from '../figure.js';
import { fixedThresholds, groupErrorPercentage, type Rule, runBaseline } from './baselines.js';
import { type Outcome, runRollout } from './run.js';
import { GOOD, type Truth } from './truth.js';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '2000' },
    bad: { type: 'string', default: '100' },
    json: { type: 'string' },
  },
});
const RUNS = Number(values.runs);
const BAD_RUNS = Number(values.bad);

const BAD: Readonly<Record<string, Partial<Truth>>> = {
  'errors x 1.5': { errors: 1.5 },
  'errors x 2': { errors: 2 },
  'errors x 3': { errors: 3 },
  'errors x 10 on 20 % of the devices': { errors: 10, affected: 0.2 },
  'errors x 3 after 2 h': { errors: 3, onset: hours(2) },
  'latency x 1.5': { latency: 1.5 },
  'latency x 2': { latency: 2 },
};

/** Other fleets in which a version as good as the old one must go through as well. */
const FLEETS: Readonly<Record<string, Partial<Truth>>> = {
  'equal devices, steady load': { errorShape: 1000, rhythm: 0, tail: 0, jitter: 0, silent: 0, breaking: 0 },
  'heavy tails, 10 % silent': { tail: 0.1, silent: 0.1 },
  'devices break 5 times as often': { breaking: 0.0005 },
};

async function many(
  runs: number,
  changes: Partial<Truth>,
  run: (truth: Truth, seed: number) => Promise<Outcome> | Outcome,
  from = 1,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let seed = from; seed < from + runs; seed++) outcomes.push(await run({ ...GOOD, ...changes }, seed));
  return outcomes;
}

function share(outcomes: readonly Outcome[], test: (outcome: Outcome) => boolean): number {
  return outcomes.filter(test).length / outcomes.length;
}

const stoppedByGate = (outcome: Outcome): boolean => outcome.state === 'rolled-back';
const caughtEarly = (outcome: Outcome): boolean => outcome.stoppedIn === 1 || outcome.stoppedIn === 2;

function atLeast(name: string, value: number, unit: string, bound: number): Figure {
  return { name, value: Number(value.toPrecision(3)), unit, aim: `>= ${bound}`, holds: value >= bound };
}

async function goodVersions(): Promise<Figure[]> {
  const outcomes = await many(RUNS, {}, runRollout);
  const alarms = outcomes.filter(stoppedByGate).length;
  const bounds = rateInterval({ events: alarms, exposure: RUNS }, 0.05);
  const figures = [
    atMost(`good version: stopped wrongly, of ${RUNS} rollouts at a budget of 0.01`, alarms / RUNS, 'share', 0.01),
    plain('good version: upper 95 % bound of that share', bounds.upper, 'share'),
    plain(
      'good version: paused for lack of evidence',
      share(outcomes, (outcome) => outcome.state === 'paused'),
      'share',
    ),
    plain('good version: hours to the last device (median)', median(outcomes.map((outcome) => outcome.hours)), 'h'),
  ];
  for (const [name, changes] of Object.entries(FLEETS)) {
    const others = await many(BAD_RUNS, changes, runRollout, 100_000);
    figures.push(plain(`good version, ${name}: stopped wrongly`, share(others, stoppedByGate), 'share'));
    figures.push(
      plain(
        `good version, ${name}: paused`,
        share(others, (outcome) => outcome.state === 'paused'),
        'share',
      ),
    );
  }
  for (const [name, rule] of RULES) {
    const others = await many(BAD_RUNS, {}, (truth, seed) => runBaseline(rule, truth, seed));
    figures.push(plain(`good version, ${name}: stopped wrongly`, share(others, stoppedByGate), 'share'));
  }
  return figures;
}

const RULES: readonly (readonly [string, Rule])[] = [
  ['fixed thresholds', fixedThresholds],
  ['group error percentage', groupErrorPercentage],
];

async function badVersion(name: string, changes: Partial<Truth>): Promise<Figure[]> {
  const outcomes = await many(BAD_RUNS, changes, runRollout);
  const caught = share(outcomes, caughtEarly);
  const rolledBack = share(outcomes, stoppedByGate);
  const figures = [
    name === 'errors x 2'
      ? atLeast(`${name}: caught in the first two waves`, caught, 'share', 0.95)
      : plain(`${name}: caught in the first two waves`, caught, 'share'),
    plain(`${name}: rolled back by a gate`, rolledBack, 'share'),
    ...exposure(name, outcomes),
  ];
  for (const [rule, test] of RULES) {
    const others = await many(BAD_RUNS, changes, (truth, seed) => runBaseline(test, truth, seed));
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
for (const [name, changes] of Object.entries(BAD)) {
  const group = await badVersion(name, changes);
  printFigures(name, group);
  figures.push(...group);
}
const good = await goodVersions();
printFigures('good versions', good);
figures.push(...good);
console.log(`\n${machine()}; ${Math.round((performance.now() - began) / 1000)} s`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
process.exitCode = figures.some((figure) => figure.holds === false) ? 1 : 0;
