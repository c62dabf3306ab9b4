import type { SignalTable } from '#shared/signals/table.js';
import type { Gate } from '../../gate.js';
import { gateName } from '../../gate-document.js';
import { ruleOf } from '../gate-rule.js';
import { type LevelReader, levelReader } from './levels.js';
import { type Meter, meterOf } from './meters.js';
import type { Baseline, DeviceWindow, Group } from './window.js';

/** What a comparing gate takes from a window, as four columns from `at`: events tolerated, events to rule out, expected, exposure. */
export interface MeterColumns {
  readonly gate: string;
  readonly at: number;
}
export const TOLERATED = 0;
export const RULED_OUT = 1;
export const EXPECTED = 2;
export const EXPOSURE = 3;
const METER_COLUMNS = 4;

/** What a limit on values takes from a window, as three columns from `at`: values beyond the limit, beyond what is to rule out, and all. */
export const LIMITED = 0;
export const BEYOND = 1;
export const VALUES = 2;
const LEVEL_COLUMNS = 3;

/** Column of the number of predictions. */
export const PREDICTIONS = 0;
/** Column of the failed ones. */
export const FAILED = 1;

/** The numbers gates need of a window, in columns, so that windows are summed by adding arrays. */
export class Columns {
  readonly width: number;
  readonly meters: readonly MeterColumns[];
  /** Events, and exposure behind it, by the name of the signal. */
  readonly rates: ReadonlyMap<string, number>;
  /** First column of each limit on values, by the name of the gate. */
  readonly levels: ReadonlyMap<string, number>;
  readonly #meters: readonly { readonly at: number; readonly read: Meter }[];
  readonly #levels: readonly { readonly at: number; readonly read: LevelReader }[];

  /** `fleet` is what all devices together reported before. */
  constructor(gates: readonly Gate[], fleet: Baseline | undefined, table?: SignalTable) {
    const rules = gates.map((gate) => ({ gate: gateName(gate), rule: ruleOf(gate, table) }));
    const names = [...new Set(rules.flatMap(({ rule }) => (rule.test === 'limit' ? [rule.signal.name] : [])))];
    this.rates = new Map(names.map((name, i) => [name, 2 + 2 * i]));
    const begin = 2 + 2 * names.length;
    const comparing = rules.flatMap(({ gate, rule }) => {
      const meter = meterOf(rule, fleet);
      return meter === undefined ? [] : [{ gate, meter }];
    });
    this.meters = comparing.map(({ gate }, i) => ({ gate, at: begin + METER_COLUMNS * i }));
    this.#meters = comparing.map(({ meter }, i) => ({ at: begin + METER_COLUMNS * i, read: meter }));
    const values = begin + METER_COLUMNS * comparing.length;
    const limits = rules.flatMap(({ gate, rule }) => (rule.test === 'level' ? [{ gate, read: levelReader(rule) }] : []));
    this.levels = new Map(limits.map(({ gate }, i) => [gate, values + LEVEL_COLUMNS * i]));
    this.#levels = limits.map(({ read }, i) => ({ at: values + LEVEL_COLUMNS * i, read }));
    this.width = values + LEVEL_COLUMNS * limits.length;
  }

  read(window: DeviceWindow, group: Group, baseline: Baseline | undefined): Float64Array {
    const out = new Float64Array(this.width);
    out[PREDICTIONS] = window.tallies.errors.exposure;
    out[FAILED] = window.tallies.errors.events;
    for (const [name, at] of this.rates) {
      const tally = window.tallies[name];
      out[at] = tally?.events ?? 0;
      out[at + 1] = tally?.exposure ?? 0;
    }
    for (const { at, read } of this.#meters) {
      const reading = read(window, group, baseline);
      if (reading === undefined) continue;
      out[at + TOLERATED] = reading.tolerated;
      out[at + RULED_OUT] = reading.ruledOut;
      out[at + EXPECTED] = reading.expected;
      out[at + EXPOSURE] = reading.exposure;
    }
    for (const { at, read } of this.#levels) {
      const reading = read(window);
      if (reading === undefined) continue;
      out[at + LIMITED] = reading.limited;
      out[at + BEYOND] = reading.beyond;
      out[at + VALUES] = reading.values;
    }
    return out;
  }
}
