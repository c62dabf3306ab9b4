import type { Measure } from '#hub/telemetry/measure.js';
import { outputBins } from '#hub/telemetry/signals.js';
import { type EpochMillis, hours, type Millis } from '#shared/kernel/clock.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { QuantileSketch } from '#shared/stats/sketch.js';
import type { DeviceWindow, Tally } from '../evidence/window.js';
import { SketchDistribution } from './sketch-distribution.js';

/** What a device reported of one version over one stretch of time, as gates look at it; what was not reported is left out. */
export function windowOf(device: DeviceId, from: EpochMillis, length: Millis, measure: Measure): DeviceWindow {
  const { signals } = measure;
  const { golden, shadow, feedback, memory, temperature, metrics, outputs } = signals;
  return {
    device,
    from,
    length,
    errors: { events: failures(measure), exposure: measure.predictions },
    latency: new SketchDistribution(measure.total),
    ...(signals.exposure === 0 ? {} : { crashes: { events: signals.crashes, exposure: signals.exposure / hours(1) } }),
    ...(golden === undefined ? {} : { golden: tally(golden.wrong, golden.run) }),
    ...(shadow === undefined ? {} : { shadow: tally(shadow.disagreed, shadow.compared) }),
    ...(feedback === undefined ? {} : { feedback: tally(feedback.wrong, feedback.total) }),
    ...distribution('memory', memory),
    ...distribution('temperature', temperature),
    ...(metrics.size === 0
      ? {}
      : { metrics: Object.fromEntries([...metrics].map(([name, values]) => [name, new SketchDistribution(values)])) }),
    ...(outputs.size === 0 ? {} : { outputs: Object.fromEntries([...outputs.keys()].map((name) => [name, outputBins(signals, [name])])) }),
  };
}

function distribution<K extends string>(name: K, sketch: QuantileSketch): Partial<Record<K, SketchDistribution>>;
function distribution(name: string, sketch: QuantileSketch): Partial<Record<string, SketchDistribution>> {
  return sketch.count === 0 ? {} : { [name]: new SketchDistribution(sketch) };
}

function tally(events: number, exposure: number): Tally {
  return { events, exposure };
}

function failures({ errors }: Measure): number {
  let sum = 0;
  for (const count of errors.values()) sum += count;
  return sum;
}
