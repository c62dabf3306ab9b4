import { fixedThresholds, groupErrorPercentage, runBaseline } from './baselines.js';
import { type Outcome, runRollout } from './run.js';
import { GOOD, type Truth } from './truth.js';

/** Who decides whether to go on: the real controller and gates, or a rule other tools have. */
export const DECIDERS = ['gates', 'fixed thresholds', 'group error percentage'] as const;
export type Decider = (typeof DECIDERS)[number];

/** Some rollouts under one truth; seeds are `from` and those after it. */
export interface Task {
  readonly decider: Decider;
  readonly changes: Partial<Truth>;
  readonly from: number;
  readonly runs: number;
}

export async function runTask({ decider, changes, from, runs }: Task): Promise<Outcome[]> {
  const truth = { ...GOOD, ...changes };
  const outcomes: Outcome[] = [];
  for (let seed = from; seed < from + runs; seed++) {
    if (decider === 'gates') outcomes.push(await runRollout(truth, seed));
    else outcomes.push(runBaseline(decider === 'fixed thresholds' ? fixedThresholds : groupErrorPercentage, truth, seed));
  }
  return outcomes;
}
