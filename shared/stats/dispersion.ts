import { requireAtLeast } from './arguments.js';

/** Events of one unit (a device) and the exposure they came from. */
export interface UnitCount {
  readonly events: number;
  readonly exposure: number;
}

/**
 * How much more counts vary between units than independent events would: Pearson's statistic over its degrees of freedom,
 * at least 1 (McCullagh & Nelder, "Generalized Linear Models", 1989, section 4.5.2). 1 for fewer than two units. With
 * `trim` that share of the units, rounded down, is left out: those that contribute most, so that a few broken units do not
 * make all the others look unsteady.
 */
export function pearsonDispersion(units: readonly UnitCount[], trim = 0): number {
  let events = 0;
  let exposure = 0;
  for (const unit of units) {
    requireAtLeast(unit.events, 0, 'events');
    requireAtLeast(unit.exposure, 0, 'exposure');
    events += unit.events;
    exposure += unit.exposure;
  }
  const rate = exposure > 0 ? events / exposure : 0;
  if (rate === 0) return 1;
  const contributions: number[] = [];
  for (const unit of units) {
    if (unit.exposure === 0) continue;
    const expected = rate * unit.exposure;
    contributions.push((unit.events - expected) ** 2 / expected);
  }
  if (contributions.length < 2) return 1;
  const kept = contributions.length - Math.floor(trim * contributions.length);
  const statistic = contributions
    .sort((a, b) => a - b)
    .slice(0, kept)
    .reduce((sum, value) => sum + value, 0);
  return Math.max(1, statistic / Math.max(1, kept - 1));
}
