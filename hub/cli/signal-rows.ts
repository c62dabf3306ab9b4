import type { Unit } from '#shared/signals/signal.js';
import type { SignalTable } from '#shared/signals/table.js';
import { formatBytes, formatDuration } from '#shared/terminal/format.js';

/** One signal of one version, as the table of `skerry metrics` has it. */
interface SignalRow {
  readonly version: number;
  readonly signal: string;
  readonly figures: string;
}

interface Measured {
  readonly version: number;
  readonly signals: Readonly<Record<string, unknown>>;
}

/** The signals that have no column of their own, by the table of signals; what is 0 everywhere is left out. */
export function signalRows(table: SignalTable, versions: readonly Measured[], leftOut: ReadonlySet<string>): SignalRow[] {
  return table.shown
    .filter(({ name }) => !leftOut.has(name))
    .flatMap(({ name, unit }) =>
      versions.flatMap(({ version, signals }) => rowsOf(name, signals[name], unit).map((row) => ({ version, ...row }))),
    );
}

function rowsOf(signal: string, view: unknown, unit: Unit): Omit<SignalRow, 'version'>[] {
  if (typeof view === 'number') return view === 0 ? [] : [{ signal, figures: String(view) }];
  if (typeof view !== 'object' || view === null) return [];
  if ('p50' in view) return [{ signal, figures: quantiles(view, unit) }];
  const members = Object.entries(view);
  if (members.every(([, value]) => typeof value === 'object'))
    return members.flatMap(([name, value]) => rowsOf(`${signal} ${name}`, value, unit));
  const counts = members.filter(([, value]) => typeof value === 'number');
  return [{ signal, figures: counts.map(([name, value]) => `${name} ${String(value)}`).join(', ') }];
}

function quantiles(view: object, unit: Unit): string {
  return Object.entries(view)
    .flatMap(([name, value]) => (name !== 'count' && typeof value === 'number' ? [`${name} ${withUnit(value, unit)}`] : []))
    .join(', ');
}

function withUnit(value: number, unit: Unit): string {
  if (unit === 'milliseconds') return formatDuration(value);
  if (unit === 'bytes') return formatBytes(value);
  const short = String(Number(value.toPrecision(4)));
  return unit === 'degrees Celsius' ? `${short} °C` : short;
}
