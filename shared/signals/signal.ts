import { z } from 'zod';
import { sketch } from './distributions.js';
import type { Form } from './form.js';

/** Unit of a signal's values, with the factor to the base unit of Prometheus. */
export const UNITS = {
  events: 1,
  milliseconds: 1 / 1000,
  seconds: 1,
  bytes: 1,
  'degrees Celsius': 1,
  cores: 1,
  'any unit': 1,
} as const;
export type Unit = keyof typeof UNITS;

/** A Prometheus family of a signal, on one side. */
export interface Exported {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly part?: string;
  readonly fault?: 'caller' | 'version';
  /** Labels that tell this signal from others in the same family. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** How events of a signal become a rate: as a share of another member, or per prediction, or per hour of a device. */
type Rate = {
  /** What is counted, for reasons of decisions. */
  readonly what: string;
} & ({ readonly events: string; readonly of: string } | { readonly per: 'prediction' | 'hour' });

interface Comparison {
  /** A gate fails once the new version is shown to be worse than `tolerate` times the control. */
  readonly tolerate: number;
  /** A gate passes once it is shown to be less than `ruleOut` times as bad. */
  readonly ruleOut: number;
}

interface Limit {
  readonly atMost: number;
  readonly ruleOut: number;
}

/** The gate of a signal: the kind of test, and its thresholds where a rollout does not say. Its name is the signal's unless given. */
export type SignalGate = { readonly name?: string } & (
  | ({ readonly test: 'rate'; readonly negligible: number } & Comparison)
  /** `harm`: which direction is worse. Values are positive. */
  | ({ readonly test: 'quantile'; readonly quantile: number; readonly harm: 'more' | 'less' } & Comparison)
  | ({ readonly test: 'limit'; readonly onShadows?: true } & Limit)
  | ({ readonly test: 'distance' } & Limit)
);

/** What every row says. */
interface Row {
  /** What is measured, as a phrase. */
  readonly help: string;
  readonly unit: Unit;
  readonly rate?: Rate;
  readonly gate?: SignalGate;
  readonly agent?: readonly Exported[];
  readonly hub?: readonly Exported[];
}

/** One row of the table of signals (rows.ts). */
export interface Signal<Observed = unknown, Value = unknown, Wire = unknown, View = unknown> extends Row {
  readonly name: string;
  /** Whose it is: a version's (a member of a window), the device's (a member of its health), or the length of the window itself. */
  readonly of: 'version' | 'device' | 'span';
  /** The member of the telemetry message. */
  readonly field: string;
  /** Schema of that member. */
  readonly wire: z.ZodType;
  readonly required: boolean;
  /** What the measurements add up to. */
  readonly form: Form<Observed, Value, Wire, View>;
  /** The form in which an agent counts since its start, for a scraper. */
  readonly total: Form<Observed>;
  /** Of the device's: what stays when windows are merged for want of space. A version's are merged. */
  readonly coarsened: 'last' | 'max';
  /** Of the device's: whether the hub keeps a distribution by version. */
  readonly summed: boolean;
  /** What is added to a device's value before it is summed, so that ratios mean the same at any level (kelvin). */
  readonly zero: number;
  /** True where the API shows it. */
  readonly shown: boolean;
}

/** A row before it has its name. */
export type Unnamed<S extends Signal = Signal> = Omit<S, 'name'>;

/** What a row of a version's window may say besides. */
interface VersionRow<Observed> extends Row {
  readonly total?: Form<Observed>;
  /** False keeps it out of what the API lists as signals: predictions and errors stand there beside them. */
  readonly shown?: boolean;
}

/** A member of a version's window that every window has. */
export function always<const F extends string, O, V, W, S>(field: F, form: Form<O, V, W, S>, row: VersionRow<O>) {
  return ofVersion(field, true, form, row);
}

/** A member of a version's window that is left out when nothing of it was measured, and by agents that do not know it. */
export function optional<const F extends string, O, V, W, S>(field: F, form: Form<O, V, W, S>, row: VersionRow<O>) {
  return ofVersion(field, false, form, row);
}

function ofVersion<F extends string, R extends boolean, O, V, W, S>(field: F, required: R, form: Form<O, V, W, S>, row: VersionRow<O>) {
  const { total = form, shown = true } = row;
  const rest = { coarsened: 'last', summed: true, zero: 0 } as const;
  return { ...row, ...rest, of: 'version' as const, field, required, wire: form.wire, form, total, shown };
}

interface DeviceRow extends Row {
  /** What stays when windows are merged for want of space; the newer one's when left out. */
  readonly coarsened?: 'last' | 'max';
  readonly zero?: number;
}

/** A member of the device's health; one with a gate is summed by version. */
export function ofDevice<const F extends string, W extends z.ZodType<number | undefined>>(field: F, wire: W, row: DeviceRow) {
  const { coarsened = 'last', zero = 0 } = row;
  const summed = row.gate !== undefined;
  const rest = { of: 'device' as const, form: sketch, total: sketch, required: false, shown: summed };
  return { ...row, ...rest, field, wire, coarsened, zero, summed };
}

/** How long windows were. */
export function ofSpan<O, V, W, S>(form: Form<O, V, W, S>, row: Row) {
  const rest = { of: 'span', field: '', required: false, coarsened: 'last', summed: true, zero: 0, shown: false } as const;
  return { ...row, ...rest, wire: z.undefined(), form, total: form };
}

/** True for signals whose values have a distribution, one or one for each name: a limit on a quantile is possible. */
export function hasValues({ form, summed }: Signal): boolean {
  return summed && (form.kind === 'distribution' || form.each?.kind === 'distribution');
}

/** True for signals that have a distribution for each of some names. */
export function isNamed({ form }: Signal): boolean {
  return form.kind === 'named';
}
