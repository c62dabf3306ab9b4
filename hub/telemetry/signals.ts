import { decode, encode } from 'cborg';
import { z } from 'zod';
import { openObject } from '#shared/kernel/open-object.js';
import { days, type EpochMillis, type Millis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { METRICS_PER_WINDOW, type MetricsWindow, OUTPUTS_PER_WINDOW, type Telemetry } from '#shared/protocol/messages.js';
import { histogramOf } from '#shared/stats/drift.js';
import { QuantileSketch } from '#shared/stats/sketch.js';

/** Comparisons of a shadow's answers with those that were given. */
export interface ShadowSums {
  compared: number;
  disagreed: number;
  dropped: number;
  readonly maxError: QuantileSketch;
  /** Milliseconds. */
  readonly cost: QuantileSketch;
}

export interface OutputSums {
  readonly values: QuantileSketch;
  notFinite: number;
}

/**
 * What devices say of a version besides errors and latency. What no device said is absent, not zero. Merging is associative
 * and commutative but for the names left out beyond the limits.
 */
export interface Signals {
  /** How long the version was loaded for, as far as windows tell; over all devices. */
  exposure: Millis;
  crashes: number;
  golden: { run: number; wrong: number } | undefined;
  feedback: { total: number; wrong: number } | undefined;
  shadow: ShadowSums | undefined;
  /** Resident memory of the agent, bytes; one value a window. */
  readonly memory: QuantileSketch;
  /** Kelvin; one value a window of a device that has a sensor. */
  readonly temperature: QuantileSketch;
  readonly outputs: Map<string, OutputSums>;
  readonly metrics: Map<string, QuantileSketch>;
}

const ZERO_CELSIUS = 273.15;

export function emptySignals(): Signals {
  return {
    exposure: 0,
    crashes: 0,
    golden: undefined,
    feedback: undefined,
    shadow: undefined,
    memory: new QuantileSketch(),
    temperature: new QuantileSketch(),
    outputs: new Map(),
    metrics: new Map(),
  };
}

/**
 * Signals of one window of a message. `first` is true for the first window of a model version in it: what is the device's
 * and not the window's (time, memory, temperature) counts once.
 */
export function signalsOf(window: MetricsWindow, message: Pick<Telemetry, 'from' | 'to' | 'health'>, first: boolean): Signals {
  const signals = emptySignals();
  const { rssBytes, temperatureC } = message.health;
  if (first) {
    signals.exposure = span(message.from, message.to);
    signals.memory.add(rssBytes);
    if (temperatureC !== undefined) signals.temperature.add(Math.max(0, temperatureC + ZERO_CELSIUS));
  }
  signals.crashes = window.crashes ?? 0;
  signals.golden = window.golden && { ...window.golden };
  signals.feedback = window.feedback && { ...window.feedback };
  if (window.shadow !== undefined) {
    const { maxError, cost, ...counts } = window.shadow;
    signals.shadow = { ...counts, maxError: QuantileSketch.decode(maxError), cost: QuantileSketch.decode(cost) };
  }
  for (const [name, { values, notFinite }] of Object.entries(window.outputs ?? {})) {
    signals.outputs.set(name, { values: QuantileSketch.decode(values), notFinite });
  }
  for (const [name, values] of Object.entries(window.metrics ?? {})) signals.metrics.set(name, QuantileSketch.decode(values));
  return signals;
}

/** Every count in it, for a check against what one window may claim. */
export function countsOf(signals: Signals): number[] {
  const { crashes, golden, feedback, shadow, outputs, metrics } = signals;
  return [
    crashes,
    golden?.run ?? 0,
    golden?.wrong ?? 0,
    feedback?.total ?? 0,
    feedback?.wrong ?? 0,
    ...(shadow === undefined ? [] : [shadow.compared, shadow.disagreed, shadow.dropped, shadow.maxError.count, shadow.cost.count]),
    ...[...outputs.values()].flatMap(({ values, notFinite }) => [values.count, notFinite]),
    ...[...metrics.values()].map((values) => values.count),
  ];
}

/** Adds `from` to `into`. */
export function mergeSignals(into: Signals, from: Signals): void {
  into.exposure += from.exposure;
  into.crashes += from.crashes;
  if (from.golden !== undefined) {
    const { run, wrong } = into.golden ?? { run: 0, wrong: 0 };
    into.golden = { run: run + from.golden.run, wrong: wrong + from.golden.wrong };
  }
  if (from.feedback !== undefined) {
    const { total, wrong } = into.feedback ?? { total: 0, wrong: 0 };
    into.feedback = { total: total + from.feedback.total, wrong: wrong + from.feedback.wrong };
  }
  if (from.shadow !== undefined) {
    into.shadow ??= { compared: 0, disagreed: 0, dropped: 0, maxError: new QuantileSketch(), cost: new QuantileSketch() };
    into.shadow.compared += from.shadow.compared;
    into.shadow.disagreed += from.shadow.disagreed;
    into.shadow.dropped += from.shadow.dropped;
    into.shadow.maxError.merge(from.shadow.maxError);
    into.shadow.cost.merge(from.shadow.cost);
  }
  into.memory.merge(from.memory);
  into.temperature.merge(from.temperature);
  for (const [name, { values, notFinite }] of from.outputs) {
    const output = known(into.outputs, name, OUTPUTS_PER_WINDOW, () => ({ values: new QuantileSketch(), notFinite: 0 }));
    output?.values.merge(values);
    if (output !== undefined) output.notFinite += notFinite;
  }
  for (const [name, values] of from.metrics) known(into.metrics, name, METRICS_PER_WINDOW, () => new QuantileSketch())?.merge(values);
}

/** Values whose logarithmic distance decides the bins of an output: 8 a decade from 1e-6 to 1e6, on both sides of zero. */
const MAGNITUDES = Array.from({ length: 97 }, (_, i) => 10 ** (-6 + i / 8));
const EDGES: readonly number[] = [...MAGNITUDES.map((edge) => -edge).toReversed(), ...MAGNITUDES];

/** Outputs counted in bins that are the same for every version, one block of bins for each of the named outputs, values that are no numbers last. */
export function outputBins(signals: Signals, outputs: readonly string[]): number[] {
  return outputs.flatMap((name) => {
    const output = signals.outputs.get(name);
    if (output === undefined) return Array.from({ length: EDGES.length + 2 }, () => 0);
    return [...histogramOf(output.values, EDGES), output.notFinite];
  });
}

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'bytes');
const count = z.int().min(0);
const storedSchema = openObject({
  v: z.literal(1),
  exposure: count,
  crashes: count,
  golden: z.tuple([count, count]).optional(),
  feedback: z.tuple([count, count]).optional(),
  shadow: z.tuple([count, count, count, bytes, bytes]).optional(),
  memory: bytes,
  temperature: bytes,
  outputs: z.record(z.string(), z.tuple([bytes, count])),
  metrics: z.record(z.string(), bytes),
});

/** Bytes of the column; `null` when nothing was said. */
export function writeSignals(signals: Signals): Buffer | null {
  const { golden, feedback, shadow } = signals;
  if (signals.exposure === 0 && signals.memory.count === 0 && countsOf(signals).every((value) => value === 0)) return null;
  const stored: z.infer<typeof storedSchema> = {
    v: 1,
    exposure: signals.exposure,
    crashes: signals.crashes,
    ...(golden === undefined ? {} : { golden: [golden.run, golden.wrong] }),
    ...(feedback === undefined ? {} : { feedback: [feedback.total, feedback.wrong] }),
    ...(shadow === undefined
      ? {}
      : { shadow: [shadow.compared, shadow.disagreed, shadow.dropped, shadow.maxError.encode(), shadow.cost.encode()] }),
    memory: signals.memory.encode(),
    temperature: signals.temperature.encode(),
    outputs: Object.fromEntries([...signals.outputs].map(([name, { values, notFinite }]) => [name, [values.encode(), notFinite]])),
    metrics: Object.fromEntries([...signals.metrics].map(([name, values]) => [name, values.encode()])),
  };
  return Buffer.from(encode(stored));
}

/** Reads what `writeSignals` wrote; `INTERNAL` for anything else. */
export function readSignals(column: Uint8Array | null): Signals {
  if (column === null) return emptySignals();
  const result = storedSchema.safeParse(decode(column));
  if (!result.success) throw new SkerryError('INTERNAL', 'stored signals cannot be read', { cause: result.error });
  const { data } = result;
  const { golden, feedback, shadow } = data;
  return {
    exposure: data.exposure,
    crashes: data.crashes,
    golden: golden && { run: golden[0], wrong: golden[1] },
    feedback: feedback && { total: feedback[0], wrong: feedback[1] },
    shadow: shadow && {
      compared: shadow[0],
      disagreed: shadow[1],
      dropped: shadow[2],
      maxError: QuantileSketch.decode(shadow[3]),
      cost: QuantileSketch.decode(shadow[4]),
    },
    memory: QuantileSketch.decode(data.memory),
    temperature: QuantileSketch.decode(data.temperature),
    outputs: new Map(
      Object.entries(data.outputs).map(([name, [values, notFinite]]) => [name, { values: QuantileSketch.decode(values), notFinite }]),
    ),
    metrics: new Map(Object.entries(data.metrics).map(([name, values]) => [name, QuantileSketch.decode(values)])),
  };
}

/** A window says at most a day: a device that was off or whose clock jumped does not count as watched that long. */
function span(from: EpochMillis, to: EpochMillis): Millis {
  return Math.min(days(1), Math.max(0, to - from));
}

function known<V>(map: Map<string, V>, name: string, most: number, make: () => V): V | undefined {
  const found = map.get(name);
  if (found !== undefined) return found;
  if (map.size >= most) return undefined;
  const made = make();
  map.set(name, made);
  return made;
}
