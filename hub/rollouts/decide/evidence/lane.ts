import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { FAILED, PREDICTIONS } from './columns.js';
import { type Layout, stratumOf, waveOfStratum } from './layout.js';
import type { DeviceWindow, Group } from './window.js';

type Outputs = Readonly<Record<string, readonly number[]>>;

/** The newest window, which may still grow: what it says replaces what it said before. */
interface Open {
  readonly from: EpochMillis;
  readonly length: Millis;
  values: Float64Array;
  outputs: Outputs;
  stratum: number;
  wave: number;
}

/** Failed predictions of one window, kept for as long as a burn rate looks back. */
interface Recent {
  readonly from: EpochMillis;
  readonly wave: number;
  readonly failed: number;
  readonly predictions: number;
}

/**
 * What one device reported of one version since the evidence began, summed per stratum. Windows are taken in the order of
 * their time, however they arrive: one that is older than the newest must be read again together with those after it.
 * INVARIANT: the sums are those of adding the windows one by one in that order, so every way to get there gives the same bits.
 */
export class Lane {
  readonly device: DeviceId;
  readonly group: Group;
  readonly version: number;
  readonly #width: number;
  readonly #horizon: Millis;
  #strata: number[] = [];
  #cells: Float64Array;
  #open: Open | undefined;
  /** The open window's row without it, and whether there is a row without it at all. */
  readonly #before: Float64Array;
  #shared = false;
  readonly #totals: Float64Array;
  readonly #totalsBefore: Float64Array;
  #first: EpochMillis | undefined;
  #last: EpochMillis = Number.NEGATIVE_INFINITY;
  #outputs = new Map<string, number[]>();
  #outputsOf = -1;
  #recent: Recent[] = [];

  /** `horizon`: how long single windows are remembered. */
  constructor(id: { readonly device: DeviceId; readonly group: Group; readonly version: number }, width: number, horizon: Millis) {
    this.device = id.device;
    this.group = id.group;
    this.version = id.version;
    this.#width = width;
    this.#horizon = horizon;
    this.#before = new Float64Array(width);
    this.#cells = new Float64Array(2 * width);
    this.#totals = new Float64Array(width);
    this.#totalsBefore = new Float64Array(width);
  }

  /** Strata with windows, rising. */
  get strata(): readonly number[] {
    return this.#strata;
  }

  /** Sums, a row of `width` columns for each of `strata`; there may be more room behind them. */
  get cells(): Float64Array {
    return this.#cells;
  }

  /** Sums over all strata, by column. */
  get totals(): Float64Array {
    return this.#totals;
  }

  /** When the first window began. */
  get first(): EpochMillis | undefined {
    return this.#first;
  }

  /** Takes a window with its columns; false when it is older than the newest one: the lane must then be cleared and read again. */
  put(layout: Layout, window: Pick<DeviceWindow, 'from' | 'length' | 'outputs'>, values: Float64Array): boolean {
    const { from, length, outputs = {} } = window;
    if (from < this.#last) return false;
    if (from === this.#last) {
      // The same window with more in it. One that no longer counted stays out.
      if (this.#open === undefined) return true;
      this.#open.values = values;
      this.#open.outputs = outputs;
      this.#sum(this.#open);
      return true;
    }
    this.#close();
    this.#last = from;
    this.#first ??= from;
    const stratum = stratumOf(layout, from, length);
    this.#open = { from, length, values, outputs, stratum, wave: waveOfStratum(layout, stratum) };
    this.#enter(this.#open);
    return true;
  }

  clear(): void {
    this.#strata = [];
    this.#totals.fill(0);
    this.#open = undefined;
    this.#first = undefined;
    this.#last = Number.NEGATIVE_INFINITY;
    this.#outputs = new Map();
    this.#recent = [];
  }

  /** A wave began: the open window may count for it. Closed ones ended before. */
  restratify(layout: Layout): void {
    const open = this.#open;
    if (open === undefined) return;
    const stratum = stratumOf(layout, open.from, open.length);
    open.wave = waveOfStratum(layout, stratum);
    if (stratum === open.stratum) return;
    this.#leave();
    open.stratum = stratum;
    this.#enter(open);
  }

  /** Leaves out what ended after `until`; false when more than the open window did, and the lane must be read again. */
  endAt(until: EpochMillis): boolean {
    const open = this.#open;
    if (open === undefined) return this.#last < until;
    if (open.from + open.length <= until) return true;
    this.#leave();
    this.#open = undefined;
    if (this.#first === open.from) this.#first = undefined;
    // Windows have one length: the one before ended when this one began, or earlier.
    return open.from <= until;
  }

  /** Outputs of one wave, by name. */
  outputs(wave: number): ReadonlyMap<string, readonly number[]> {
    const closed = this.#outputsOf === wave ? this.#outputs : new Map<string, number[]>();
    if (this.#open?.wave !== wave) return closed;
    const all = new Map<string, readonly number[]>(closed);
    for (const [name, histogram] of Object.entries(this.#open.outputs)) all.set(name, plus(histogram, closed.get(name)));
    return all;
  }

  /** Failed and all predictions of one wave in windows that began at `from` or later. */
  since(wave: number, from: EpochMillis): { events: number; exposure: number } {
    const sum = { events: 0, exposure: 0 };
    const open = this.#open === undefined ? [] : [recentOf(this.#open)];
    for (const window of [...this.#recent, ...open]) {
      if (window.wave !== wave || window.from < from) continue;
      sum.events += window.failed;
      sum.exposure += window.predictions;
    }
    return sum;
  }

  #enter(open: Open): void {
    const last = this.#strata.length - 1;
    this.#shared = this.#strata[last] === open.stratum;
    if (this.#shared) {
      for (let i = 0; i < this.#width; i++) this.#before[i] = this.#cells[last * this.#width + i] ?? 0;
    } else {
      this.#strata.push(open.stratum);
      this.#before.fill(0);
      if (this.#cells.length < this.#strata.length * this.#width) {
        const grown = new Float64Array(2 * this.#cells.length);
        grown.set(this.#cells);
        this.#cells = grown;
      }
    }
    this.#totalsBefore.set(this.#totals);
    this.#sum(open);
  }

  /** Takes the open window out of its row. */
  #leave(): void {
    this.#totals.set(this.#totalsBefore);
    if (this.#shared) this.#cells.set(this.#before, (this.#strata.length - 1) * this.#width);
    else this.#strata.pop();
  }

  #sum(open: Open): void {
    const at = (this.#strata.length - 1) * this.#width;
    for (let i = 0; i < this.#width; i++) {
      this.#cells[at + i] = (this.#before[i] ?? 0) + (open.values[i] ?? 0);
      this.#totals[i] = (this.#totalsBefore[i] ?? 0) + (open.values[i] ?? 0);
    }
  }

  #close(): void {
    const open = this.#open;
    if (open === undefined) return;
    if (this.#outputsOf !== open.wave) {
      this.#outputs = new Map();
      this.#outputsOf = open.wave;
    }
    for (const [name, histogram] of Object.entries(open.outputs)) this.#outputs.set(name, plus(histogram, this.#outputs.get(name)));
    if (this.#horizon > 0) {
      const keep = open.from - this.#horizon;
      this.#recent = [...this.#recent.filter((window) => window.from >= keep), recentOf(open)];
    }
    this.#open = undefined;
  }
}

function recentOf({ from, wave, values }: Open): Recent {
  return { from, wave, failed: values[FAILED] ?? 0, predictions: values[PREDICTIONS] ?? 0 };
}

function plus(a: readonly number[], b: readonly number[] | undefined): number[] {
  return b === undefined ? [...a] : a.map((count, i) => count + (b[i] ?? 0));
}
