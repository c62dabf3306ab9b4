import { outputBins } from '#hub/telemetry/output-bins.js';
import { failedOf, tallyOf } from '#hub/telemetry/tally.js';
import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { ROWS } from '#shared/signals/rows.js';
import type { Sums } from '#shared/signals/sums.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import type { DeviceWindow, Tallies } from '../decide/evidence/window.js';
import type { Needs } from './needs.js';
import { SketchDistribution } from './sketch-distribution.js';

/** Where a window belongs. */
interface WindowPlace {
  readonly device: DeviceId;
  readonly from: EpochMillis;
  readonly length: Millis;
}

/** What a device did with one version in one bucket as gates look at it; what was not reported is left out. */
export function windowOf(place: WindowPlace, sums: Sums, needs: Needs): DeviceWindow {
  const values = [...needs.values.keys()].flatMap((key) => {
    const sketch = sketchOf(sums, needs, key);
    return sketch === undefined ? [] : [[key, new SketchDistribution(sketch)] as const];
  });
  const outputs = needs.outputs ? sums.of(ROWS.outputs) : undefined;
  return {
    ...place,
    tallies: talliesOf(sums, needs),
    values: Object.fromEntries(values),
    ...(outputs && { outputs: Object.fromEntries([...outputs].map(([name, output]) => [name, outputBins(output)])) }),
  };
}

/** Counts that gates look at. */
export function talliesOf(sums: Sums, { rates, refused }: Needs): Tallies {
  const tallies = [...rates].map((signal) => [signal.name, tallyOf(signal, sums, refused)] as const);
  return { ...Object.fromEntries(tallies), errors: failedOf(sums, refused) };
}

/** The values under a key; `undefined` when there are none. */
export function sketchOf(sums: Sums, { values }: Needs, key: string): QuantileSketch | undefined {
  const wanted = values.get(key);
  if (wanted === undefined) return undefined;
  const sum = sums.of(wanted.signal);
  const found: unknown = wanted.name !== undefined && sum instanceof Map ? sum.get(wanted.name) : sum;
  return found instanceof QuantileSketch && found.count > 0 ? found : undefined;
}
