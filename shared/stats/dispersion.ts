import { requireAtLeast } from './arguments.js';

/** Events of one unit (a device) and the exposure they came from. */
export interface UnitCount {
  readonly events: number;
  readonly exposure: number;
}

/**
 * How much more counts vary between units than independent events would: Pearson's statistic over its degrees of freedom,
 * at least 1 (McCullagh & Nelder, "Generalized Linear Models", 1989, section 4.5.2). 1 for fewer than two units.
 */
export function pearsonDispersion(units: readonly UnitCount[]): number {
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
  let statistic = 0;
  let used = 0;
  for (const unit of units) {
    if (unit.exposure === 0) continue;
    const expected = rate * unit.exposure;
    statistic += (unit.events - expected) ** 2 / expected;
    used += 1;
  }
  return used < 2 ? 1 : Math.max(1, statistic / (used - 1));
}
