import type { RateStratum } from '#shared/stats/rate-ratio.js';
import { EXPECTED, TOLERATED } from './columns.js';
import type { Lane } from './lane.js';

/** Where a comparison's numbers stand in the lanes. */
export interface Place {
  /** Columns of a lane's stratum. */
  readonly width: number;
  /** First column of the gate. */
  readonly at: number;
  /** The column of the events, from `at`: tolerated or ruled out. */
  readonly events: number;
}

/** The control's events and expectation by stratum, from one on: two numbers each. */
export type ControlSums = Float64Array;

export function controlSums(lanes: readonly Lane[], { width, at, events }: Place, strata: number, from = 0): ControlSums {
  const sums = new Float64Array(strata * 2);
  for (const lane of lanes) {
    for (let row = rowFrom(lane, from); row < lane.strata.length; row++) {
      const stratum = lane.strata[row] ?? 0;
      add(sums, stratum * 2, lane.cells[row * width + at + events]);
      add(sums, stratum * 2 + 1, lane.cells[row * width + at + EXPECTED]);
    }
  }
  return sums;
}

export interface Compared {
  readonly strata: RateStratum[];
  readonly withoutWorst?: RateStratum[];
}

/**
 * Canary against control, each lane of the canary from the stratum `first` gives for it. With three devices or more also
 * without the one that has the largest excess of events over its share. Lanes come in one order, so that sums do not depend
 * on who reported first.
 */
export function compare(canary: readonly Lane[], control: ControlSums, place: Place, first: (lane: Lane) => number): Compared {
  const { width, at, events } = place;
  const sums = new Float64Array(control.length);
  const own = new Float64Array(canary.length * 2);
  let reporting = 0;
  for (const [i, lane] of canary.entries()) {
    for (let row = rowFrom(lane, first(lane)); row < lane.strata.length; row++) {
      const [stratum, cell] = [lane.strata[row] ?? 0, row * width + at];
      add(sums, stratum * 2, lane.cells[cell + events]);
      add(sums, stratum * 2 + 1, lane.cells[cell + EXPECTED]);
      add(own, i * 2, lane.cells[cell + TOLERATED]);
      add(own, i * 2 + 1, lane.cells[cell + EXPECTED]);
    }
    if ((own[i * 2 + 1] ?? 0) > 0) reporting += 1;
  }
  const strata = strataOf(sums, control);
  if (reporting < 3) return { strata };
  const worst = worstOf(own);
  const lane = worst === undefined ? undefined : canary[worst];
  if (lane === undefined) return { strata };
  for (let row = rowFrom(lane, first(lane)); row < lane.strata.length; row++) {
    const [at2, cell] = [(lane.strata[row] ?? 0) * 2, row * width + at];
    add(sums, at2, -(lane.cells[cell + events] ?? 0));
    sums[at2 + 1] = Math.max(0, (sums[at2 + 1] ?? 0) - (lane.cells[cell + EXPECTED] ?? 0));
  }
  return { strata, withoutWorst: strataOf(sums, control) };
}

/** Index of the device with the largest excess of events over its share of them; the first of equal ones. */
function worstOf(own: Float64Array): number | undefined {
  let [events, expected] = [0, 0];
  for (let i = 0; i < own.length; i += 2) {
    events += own[i] ?? 0;
    expected += own[i + 1] ?? 0;
  }
  let worst: number | undefined;
  let most = 0;
  for (let i = 0; i < own.length; i += 2) {
    const excess = (own[i] ?? 0) - (expected > 0 ? (events * (own[i + 1] ?? 0)) / expected : 0);
    if (excess <= most) continue;
    worst = i / 2;
    most = excess;
  }
  return worst;
}

function strataOf(canary: Float64Array, control: ControlSums): RateStratum[] {
  const strata: RateStratum[] = [];
  for (let i = 0; i < control.length; i += 2) {
    const [canaryEvents = 0, canaryExposure = 0] = canary.subarray(i, i + 2);
    const [controlEvents = 0, controlExposure = 0] = control.subarray(i, i + 2);
    if (canaryExposure > 0 || controlExposure > 0) strata.push({ canaryEvents, canaryExposure, controlEvents, controlExposure });
  }
  return strata;
}

/** The first row of a lane in `stratum` or later; most lanes have few, and the late ones are asked for most. */
export function rowFrom({ strata }: Lane, stratum: number): number {
  let row = strata.length;
  while (row > 0 && (strata[row - 1] ?? 0) >= stratum) row -= 1;
  return row;
}

function add(sums: Float64Array, at: number, value: number | undefined): void {
  sums[at] = (sums[at] ?? 0) + (value ?? 0);
}
