import type { EpochMillis, Millis } from '#shared/kernel/clock.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { pearsonDispersion } from '#shared/stats/dispersion.js';
import type { RateStratum } from '#shared/stats/rate-ratio.js';
import type { GateFigures } from '../figures.js';
import type { Meter, Reading } from './meters.js';
import type { Baseline, DeviceWindow, Group } from './window.js';

/** Most strata a wave is cut into; later windows join the last one. */
export const MAX_STRATA = 32;

/** Control devices left out of the variation, as the worst canary device is left out of the comparison. */
const TRIM = 0.02;

interface DeviceCount {
  tolerated: number;
  expected: number;
  /** Only for the canary: per stratum tolerated, ruled out, expected. */
  readonly cells: Float64Array | undefined;
}

/** Counts windows of both groups for one comparing gate, by time and by device. */
export class ComparisonMeter {
  readonly #gate: string;
  readonly #meter: Meter;
  readonly #from: EpochMillis;
  readonly #width: Millis;
  readonly #tolerated = new Float64Array(MAX_STRATA * 4);
  readonly #ruledOut = new Float64Array(MAX_STRATA * 4);
  readonly #devices: Readonly<Record<Group, Map<DeviceId, DeviceCount>>> = { canary: new Map(), control: new Map() };
  #events = 0;
  #exposure = 0;

  constructor(gate: string, meter: Meter, from: EpochMillis, width: Millis) {
    this.#gate = gate;
    this.#meter = meter;
    this.#from = from;
    this.#width = width;
  }

  add(window: DeviceWindow, group: Group, baseline: Baseline | undefined): void {
    const reading = this.#meter(window, group, baseline);
    if (reading === undefined) return;
    const stratum = Math.min(MAX_STRATA - 1, Math.max(0, Math.floor((window.from - this.#from) / this.#width)));
    const at = stratum * 4 + (group === 'canary' ? 0 : 2);
    bump(this.#tolerated, at, reading.tolerated, reading.expected);
    bump(this.#ruledOut, at, reading.ruledOut, reading.expected);
    this.#count(window.device, group, stratum, reading);
    if (group === 'canary') {
      this.#events += reading.tolerated;
      this.#exposure += reading.exposure;
    }
  }

  figures(): GateFigures {
    const { canary, control } = this.#devices;
    if (canary.size + control.size === 0) return { gate: this.#gate, kind: 'missing', why: 'no device reported what this gate compares' };
    const worst = canary.size >= 3 ? worstOf(canary) : undefined;
    const units = [...control.values()].map((device) => ({ events: device.tolerated, exposure: device.expected }));
    return {
      gate: this.#gate,
      kind: 'comparison',
      tolerated: compared(this.#tolerated, worst, 0),
      ruledOut: compared(this.#ruledOut, worst, 1),
      dispersion: pearsonDispersion(units, TRIM),
      canaryDevices: canary.size,
      controlDevices: control.size,
      events: this.#events,
      exposure: this.#exposure,
    };
  }

  #count(device: DeviceId, group: Group, stratum: number, reading: Reading): void {
    let count = this.#devices[group].get(device);
    if (count === undefined) {
      count = { tolerated: 0, expected: 0, cells: group === 'canary' ? new Float64Array(MAX_STRATA * 3) : undefined };
      this.#devices[group].set(device, count);
    }
    count.tolerated += reading.tolerated;
    count.expected += reading.expected;
    if (count.cells === undefined) return;
    bump(count.cells, stratum * 3, reading.tolerated, reading.ruledOut);
    count.cells[stratum * 3 + 2] = (count.cells[stratum * 3 + 2] ?? 0) + reading.expected;
  }
}

/** The canary device with the largest excess of events over its share. */
function worstOf(canary: ReadonlyMap<DeviceId, DeviceCount>): Float64Array | undefined {
  let [events, expected] = [0, 0];
  for (const device of canary.values()) {
    events += device.tolerated;
    expected += device.expected;
  }
  let worst: { readonly id: DeviceId; readonly excess: number; readonly cells: Float64Array | undefined } | undefined;
  for (const [id, device] of canary) {
    const excess = device.tolerated - (expected > 0 ? (events * device.expected) / expected : 0);
    // Equal ones by id, so that the order in which devices reported does not matter (DESIGN R8).
    const more = worst === undefined ? excess > 0 : excess > worst.excess || (excess === worst.excess && id < worst.id);
    if (more) worst = { id, excess, cells: device.cells };
  }
  return worst?.cells;
}

function compared(
  table: Float64Array,
  worst: Float64Array | undefined,
  column: 0 | 1,
): { strata: RateStratum[]; withoutWorst?: RateStratum[] } {
  const strata: RateStratum[] = [];
  const withoutWorst: RateStratum[] = [];
  for (let stratum = 0; stratum < MAX_STRATA; stratum++) {
    const [canaryEvents = 0, canaryExposure = 0, controlEvents = 0, controlExposure = 0] = table.subarray(stratum * 4, stratum * 4 + 4);
    if (canaryExposure === 0 && controlExposure === 0) continue;
    strata.push({ canaryEvents, canaryExposure, controlEvents, controlExposure });
    if (worst === undefined) continue;
    withoutWorst.push({
      canaryEvents: canaryEvents - (worst[stratum * 3 + column] ?? 0),
      canaryExposure: Math.max(0, canaryExposure - (worst[stratum * 3 + 2] ?? 0)),
      controlEvents,
      controlExposure,
    });
  }
  return worst === undefined ? { strata } : { strata, withoutWorst };
}

function bump(table: Float64Array, at: number, first: number, second: number): void {
  table[at] = (table[at] ?? 0) + first;
  table[at + 1] = (table[at + 1] ?? 0) + second;
}
