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
type ControlSums = Float64Array;

export function controlSums(lanes: readonly Lane[], { width, at, events }: Place, count: number, from = 0): ControlSums {
  const sums = new Float64Array(count * 2);
  for (const lane of lanes) {
    const { cells, strata } = lane;
    for (let row = rowFrom(lane, from); row < strata.length; row++) {
      const to = (strata[row] ?? 0) * 2;
      const cell = row * width + at;
      sums[to] = (sums[to] ?? 0) + (cells[cell + events] ?? 0);
      sums[to + 1] = (sums[to + 1] ?? 0) + (cells[cell + EXPECTED] ?? 0);
    }
  }
  return sums;
}

export interface Compared {
  readonly strata: RateStratum[];
  readonly withoutWorst?: RateStratum[];
}

/**
 * Canary against control, each lane of the canary from the row `first` gives for it. With three devices or more also
 * without the one that has the largest excess of events over its share. Lanes come in one order, so that sums do not depend
 * on who reported first.
 */
export function compare(canary: readonly Lane[], control: ControlSums, place: Place, first: Int32Array): Compared {
  const { width, at, events } = place;
  const sums = new Float64Array(control.length);
  const own = new Float64Array(canary.length * 2);
  let reporting = 0;
  for (let i = 0; i < canary.length; i++) {
    const lane = canary[i];
    if (lane === undefined) continue;
    const { cells, strata } = lane;
    let [ownEvents, ownExpected] = [0, 0];
    for (let row = first[i] ?? 0; row < strata.length; row++) {
      const to = (strata[row] ?? 0) * 2;
      const cell = row * width + at;
      const expected = cells[cell + EXPECTED] ?? 0;
      sums[to] = (sums[to] ?? 0) + (cells[cell + events] ?? 0);
      sums[to + 1] = (sums[to + 1] ?? 0) + expected;
      ownEvents += cells[cell + TOLERATED] ?? 0;
      ownExpected += expected;
    }
    own[i * 2] = ownEvents;
    own[i * 2 + 1] = ownExpected;
    if (ownExpected > 0) reporting += 1;
  }
  const strata = strataOf(sums, control);
  if (reporting < 3) return { strata };
  const worst = worstOf(own);
  const lane = worst === undefined ? undefined : canary[worst];
  if (worst === undefined || lane === undefined) return { strata };
  for (let row = first[worst] ?? 0; row < lane.strata.length; row++) {
    const to = (lane.strata[row] ?? 0) * 2;
    const cell = row * width + at;
    sums[to] = (sums[to] ?? 0) - (lane.cells[cell + events] ?? 0);
    sums[to + 1] = Math.max(0, (sums[to + 1] ?? 0) - (lane.cells[cell + EXPECTED] ?? 0));
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

/** The row each lane's comparison begins with. */
export function rowsFrom(lanes: readonly Lane[], stratum: (lane: Lane) => number): Int32Array {
  return Int32Array.from(lanes, (lane) => rowFrom(lane, stratum(lane)));
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
