import { ROWS } from './rows.js';
import type { Signal, SignalGate } from './signal.js';

/** The rows of the table, as the parts of the system read them. What is in no row does not exist for them. */
export class SignalTable {
  readonly rows: readonly Signal[];
  /** Of the device's, those that the hub keeps sums of by version. */
  readonly summedOfDevice: readonly Signal[];
  /** What the hub counts since ever. */
  readonly counted: readonly Signal[];
  /** What the API shows. */
  readonly shown: readonly Signal[];
  /** Signals with a gate of their own, by the name of the gate. */
  readonly gates: readonly (readonly [string, Signal, SignalGate])[];
  readonly #byName: ReadonlyMap<string, Signal>;
  readonly #totals: ReadonlyMap<Signal, Signal>;

  constructor(rows: readonly Signal[]) {
    this.rows = rows;
    this.summedOfDevice = rows.filter((row) => row.of === 'device' && row.summed);
    this.counted = rows.filter((row) => row.hub?.some(({ type }) => type === 'counter'));
    this.shown = rows.filter((row) => row.shown);
    this.gates = rows.flatMap((row) => (row.gate === undefined ? [] : [[row.gate.name ?? row.name, row, row.gate] as const]));
    this.#byName = new Map(rows.map((row) => [row.name, row]));
    this.#totals = new Map(
      rows
        .filter((row) => row.of === 'version' && row.agent !== undefined)
        .map((row) => [row, row.total === row.form ? row : { ...row, form: row.total }]),
    );
  }

  named(name: string): Signal | undefined {
    return this.#byName.get(name);
  }

  /** Members of a window, or of the device's health. */
  of(whose: Signal['of']): readonly Signal[] {
    return this.rows.filter((row) => row.of === whose);
  }

  /** The signal as an agent counts it since its start; `undefined` when no scraper is told of it. */
  totalOf(signal: Signal): Signal | undefined {
    return this.#totals.get(signal);
  }

  get totals(): Iterable<Signal> {
    return this.#totals.values();
  }
}

export const SIGNALS = new SignalTable(Object.values(ROWS));
