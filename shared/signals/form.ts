import { z } from 'zod';
import type { MetricSample } from '#shared/kernel/exposition.js';
import { isCallersFault } from '#shared/kernel/error-registry.js';

/** How a value becomes samples of a Prometheus family. */
export interface SampleOptions {
  readonly labels: Readonly<Record<string, string>>;
  /** Factor from the signal's unit to the base unit of Prometheus. */
  readonly scale: number;
  /** Value of the signal that stands for zero in the unit people read (273.15 for kelvin shown as degrees Celsius). */
  readonly zero: number;
  /** Which member of a form with members. */
  readonly part?: string | undefined;
  /** Which error codes: those that are their caller's fault, or the others. */
  readonly fault?: 'caller' | 'version' | undefined;
}

/**
 * What the measurements of one signal add up to. `Observed` is one measurement, `Value` the sum of many, `Wire` the sum as a
 * window carries it and the hub stores it, `View` the sum as the API shows it.
 *
 * INVARIANT: `merge` is associative and commutative, so that any order of arrival gives the same sum. `add` and `merge` may
 * change their first argument and return the sum; the second stays as it is.
 */
export interface Form<Observed = unknown, Value = unknown, Wire = unknown, View = unknown> {
  readonly kind: 'count' | 'codes' | 'distribution' | 'histogram' | 'members' | 'named';
  /** Of a `named` form: the form under each name. */
  readonly each?: Form;
  readonly wire: z.ZodType<Wire>;
  readonly view: z.ZodType<View>;
  empty(): Value;
  is(value: unknown): value is Value;
  add(value: Value, observed: Observed): Value;
  merge(into: Value, from: Value): Value;
  pack(value: Value): Wire;
  unpack(wire: Wire): Value;
  /** Every count in it: bounded by what one window may claim, and all 0 when nothing was measured. */
  counts(value: Value): readonly number[];
  show(value: Value, zero: number): View;
  samples(value: Value, options: SampleOptions): MetricSample[];
}

/** How often something happened. */
export const count: Form<number, number, number, number> = {
  kind: 'count',
  wire: z.int().min(0),
  view: z.int(),
  empty: () => 0,
  is: (value) => typeof value === 'number',
  add: plus,
  merge: plus,
  pack: (value) => value,
  unpack: (wire) => wire,
  counts: (value) => [value],
  show: (value) => value,
  samples: (value, { labels, scale }) => [{ labels, value: value * scale }],
};

/** Key of what does not fit under a key of its own. */
export const OTHER = 'OTHER';

type Counts = Readonly<Record<string, number>>;

/** How often something happened, by error code; codes beyond `most` count together as `OTHER`, so that no sender makes a sum grow without bound. */
export function countsByCode(most: number): Form<string, Map<string, number>, Counts, Counts> {
  const addTo = (into: Map<string, number>, code: string, by: number): void => {
    const key = into.has(code) || into.size < most ? code : OTHER;
    into.set(key, plus(into.get(key) ?? 0, by));
  };
  return {
    kind: 'codes',
    wire: z.record(z.string().max(64), z.int().min(0)),
    view: z.record(z.string(), z.int()),
    empty: () => new Map(),
    is: (value): value is Map<string, number> => value instanceof Map,
    add(value, code) {
      addTo(value, code, 1);
      return value;
    },
    merge(into, from) {
      for (const [code, by] of from) addTo(into, code, by);
      return into;
    },
    pack: (value) => Object.fromEntries(value),
    unpack: (wire) => new Map(Object.entries(wire)),
    counts: (value) => [...value.values()],
    show: (value) => Object.fromEntries(value),
    samples: (value, { labels, scale, fault }) =>
      [...value]
        .filter(([code]) => fault === undefined || isCallersFault(code) === (fault === 'caller'))
        .map(([code, by]) => ({ labels: { ...labels, code }, value: by * scale })),
  };
}

/** Beyond 2^53 numbers are not exact, and could not be read back. */
function plus(a: number, b: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, a + b);
}
