import { emptySignals, mergeSignals } from '#hub/telemetry/signals.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import type { StoredBaseline } from './baseline-text.js';
import { type Measured, talliesOf } from './measured-window.js';
import { metricKey, type Needs } from './needs.js';

/** What was done with the old version before a rollout, by one device or by all of them, merged. */
export class DeviceHistory {
  readonly #latency = new QuantileSketch();
  readonly #signals = emptySignals();
  #predictions = 0;
  #failed = 0;

  add({ predictions, failed, latency, signals }: Omit<Measured, 'from'>): void {
    this.#predictions += predictions;
    this.#failed += failed;
    this.#latency.merge(latency);
    mergeSignals(this.#signals, signals);
  }

  merge(other: DeviceHistory): void {
    this.add({ predictions: other.#predictions, failed: other.#failed, latency: other.#latency, signals: other.#signals });
  }

  /** What later reports are measured against: counts, and the quantiles gates ask for. `undefined` for no history. */
  baseline(needs: Needs): StoredBaseline | undefined {
    const { memory, temperature, metrics } = this.#signals;
    if (this.#predictions === 0 && this.#signals.exposure === 0) return undefined;
    const sketches = new Map([
      ['latency', this.#latency],
      ['memory', memory],
      ['temperature', temperature],
      ...[...metrics].map(([name, values]) => [metricKey(name), values] as const),
    ]);
    const quantiles: StoredBaseline['quantiles'] = {};
    for (const [name, wanted] of needs.quantiles) {
      const sketch = sketches.get(name);
      if (sketch === undefined || sketch.count === 0) continue;
      quantiles[name] = Object.fromEntries([...wanted].map((q) => [String(q), sketch.quantile(q) ?? 0]));
    }
    const { errors, crashes, feedback } = talliesOf({ predictions: this.#predictions, failed: this.#failed, signals: this.#signals });
    const pair = ({ events, exposure }: typeof errors): [number, number] => [events, exposure];
    return {
      errors: pair(errors),
      ...(crashes && { crashes: pair(crashes) }),
      ...(feedback && { feedback: pair(feedback) }),
      quantiles,
    };
  }
}
