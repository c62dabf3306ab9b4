import { failuresOf } from '#hub/telemetry/failures.js';
import { readErrors } from '#hub/telemetry/measure.js';
import { emptySignals, outputBins, readSignals, type Signals } from '#hub/telemetry/signals.js';
import type { MetricsDeviceTable } from '#hub/store/tables/telemetry-tables.js';
import { type EpochMillis, hours, type Millis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import type { DeviceWindow, Tally } from '../decide/evidence/window.js';
import type { Needs } from './needs.js';
import { SketchDistribution } from './sketch-distribution.js';

/** The columns gates look at; those not needed are not read from the database. */
export type MeasuredRow = Pick<MetricsDeviceTable, 'version' | 'bucket' | 'predictions' | 'errors'> &
  Partial<Pick<MetricsDeviceTable, 'total' | 'signals'>>;

/** What a device did with one version in one bucket, unpacked as far as it is needed. */
export interface Measured {
  readonly from: EpochMillis;
  /** Those that count: not what was refused for what callers sent, unless it counts against the version. */
  readonly predictions: number;
  readonly failed: number;
  readonly latency: QuantileSketch;
  readonly signals: Signals;
}

export function measuredOf(row: MeasuredRow, { refused }: Pick<Needs, 'refused'>): Measured {
  const { failed, exposure } =
    row.errors === '[]' ? { failed: 0, exposure: row.predictions } : failuresOf(row.predictions, readErrors(row.errors), refused);
  return {
    from: row.bucket,
    predictions: exposure,
    failed,
    latency: row.total === undefined ? new QuantileSketch() : QuantileSketch.decode(row.total),
    signals: row.signals === undefined || row.signals === null ? emptySignals() : readSignals(row.signals),
  };
}

/** The same as gates look at it; what was not reported is left out. */
export function windowOf(device: DeviceId, length: Millis, measured: Measured, needs: Pick<Needs, 'outputs'>): DeviceWindow {
  const { signals } = measured;
  const { golden, shadow, memory, temperature, metrics, outputs } = signals;
  return {
    device,
    from: measured.from,
    length,
    ...talliesOf(measured),
    latency: new SketchDistribution(measured.latency),
    ...(golden === undefined ? {} : { golden: tally(golden.wrong, golden.run) }),
    ...(shadow === undefined ? {} : { shadow: tally(shadow.disagreed, shadow.compared) }),
    ...(memory.count === 0 ? {} : { memory: new SketchDistribution(memory) }),
    ...(temperature.count === 0 ? {} : { temperature: new SketchDistribution(temperature) }),
    ...(metrics.size === 0
      ? {}
      : { metrics: Object.fromEntries([...metrics].map(([name, values]) => [name, new SketchDistribution(values)])) }),
    ...(needs.outputs && outputs.size > 0
      ? { outputs: Object.fromEntries([...outputs.keys()].map((name) => [name, outputBins(signals, [name])])) }
      : {}),
  };
}

/** Counts that are compared with the device's own before. */
export function talliesOf({ predictions, failed, signals }: Pick<Measured, 'predictions' | 'failed' | 'signals'>): {
  errors: Tally;
  crashes?: Tally;
  feedback?: Tally;
} {
  const { feedback } = signals;
  return {
    errors: tally(failed, predictions),
    ...(signals.exposure === 0 ? {} : { crashes: tally(signals.crashes, signals.exposure / hours(1)) }),
    ...(feedback === undefined ? {} : { feedback: tally(feedback.wrong, feedback.total) }),
  };
}

function tally(events: number, exposure: number): Tally {
  return { events, exposure };
}
