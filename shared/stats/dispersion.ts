import { requireAtLeast } from './arguments.js';

/** Events of one unit (a device) and the exposure they came from. */
interface UnitCount {
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
  const contributions = new Float64Array(units.length);
  let used = 0;
  for (const unit of units) {
    if (unit.exposure === 0) continue;
    const expected = rate * unit.exposure;
    contributions[used] = (unit.events - expected) ** 2 / expected;
    used += 1;
  }
  if (used < 2) return 1;
  const kept = used - Math.floor(trim * used);
  let statistic = 0;
  // A typed array sorts by value, and several times as fast.
  for (const value of contributions.subarray(0, used).sort().subarray(0, kept)) statistic += value;
  return Math.max(1, statistic / Math.max(1, kept - 1));
}
