import { decode, encode } from 'cborg';
import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Signal } from './signal.js';
import type { SignalTable } from './table.js';

type Fields = Readonly<Record<string, unknown>>;

const storedSchema = z.record(z.string(), z.unknown());

/**
 * Sums of signals: what a window says, what a batch adds up to, what a row of the hub's store holds. What nobody measured is
 * absent, not zero. A stored sum is unpacked when somebody asks for it; one of a signal that this release does not know is kept
 * as it is.
 */
export class Sums {
  readonly table: SignalTable;
  readonly #values = new Map<Signal, unknown>();
  /** Sums as they are stored, by signal; each is in here or unpacked. */
  readonly #packed: Map<string, unknown>;

  constructor(table: SignalTable, packed: ReadonlyMap<string, unknown> = new Map()) {
    this.table = table;
    this.#packed = new Map(packed);
  }

  /** Reads the members of a window; throws what the forms throw for bytes that are no sums. */
  static ofWindow(table: SignalTable, window: Fields): Sums {
    const sums = new Sums(table);
    for (const signal of table.rows) {
      if (signal.of !== 'version') continue;
      const wire = window[signal.field];
      if (wire !== undefined) sums.#values.set(signal, signal.form.unpack(wire));
    }
    return sums;
  }

  /** Reads what `store` wrote; `INTERNAL` for anything else. */
  static stored(table: SignalTable, bytes: Uint8Array): Sums {
    const result = storedSchema.safeParse(decode(bytes));
    if (!result.success) throw new SkerryError('INTERNAL', 'stored signals cannot be read', { cause: result.error });
    return new Sums(table, new Map(Object.entries(result.data)));
  }

  /** The sum of a signal; `undefined` when nobody measured it. Must not be changed. */
  of<V>(signal: Signal<unknown, V>): V | undefined {
    const value = this.#unpacked(signal);
    return signal.form.is(value) ? value : undefined;
  }

  add<O>(signal: Signal<O>, observed: O): void {
    this.#values.set(signal, signal.form.add(this.#unpacked(signal) ?? signal.form.empty(), observed));
  }

  /** Adds what `other` holds, of all signals or of some. */
  merge(other: Sums, only: readonly Signal[] = this.table.rows): void {
    for (const signal of only) {
      const packed = other.#packed.get(signal.name);
      if (packed !== undefined && !this.#values.has(signal) && !this.#packed.has(signal.name)) {
        this.#packed.set(signal.name, packed);
        continue;
      }
      const value = other.#unpacked(signal);
      if (value !== undefined) this.#values.set(signal, signal.form.merge(this.#unpacked(signal) ?? signal.form.empty(), value));
    }
  }

  /** Members of a window: what every window has, and what was measured. */
  toWindow(): Record<string, unknown> {
    const fields: Record<string, unknown> = {};
    for (const signal of this.table.rows) {
      if (signal.of !== 'version') continue;
      const value = this.#unpacked(signal) ?? (signal.required ? signal.form.empty() : undefined);
      if (value !== undefined) fields[signal.field] = signal.form.pack(value);
    }
    return fields;
  }

  /** Bytes for the hub's store. */
  store(): Buffer {
    const out: Record<string, unknown> = Object.fromEntries(this.#packed);
    for (const [signal, value] of this.#values) out[signal.name] = signal.form.pack(value);
    return Buffer.from(encode(out));
  }

  /** Every count in it, for a check against what one window may claim. */
  counts(): number[] {
    return [...this.#values].flatMap(([signal, value]) => [...signal.form.counts(value)]);
  }

  #unpacked(signal: Signal): unknown {
    const known = this.#values.get(signal);
    if (known !== undefined) return known;
    const packed = this.#packed.get(signal.name);
    if (packed === undefined) return undefined;
    const result = signal.form.wire.safeParse(packed);
    if (!result.success) throw new SkerryError('INTERNAL', `the stored signal "${signal.name}" cannot be read`, { cause: result.error });
    const value = signal.form.unpack(result.data);
    this.#packed.delete(signal.name);
    this.#values.set(signal, value);
    return value;
  }
}
