import { METRICS_PER_WINDOW, type MetricsWindow, OUTPUTS_PER_WINDOW } from '#shared/protocol/messages.js';
import { QuantileSketch } from '#shared/stats/sketch.js';

type Signals = Pick<MetricsWindow, 'crashes' | 'golden' | 'shadow' | 'feedback' | 'outputs' | 'metrics'>;

/** What two windows of one version say besides errors and latency, as one; what neither says stays unsaid. */
export function mergeSignals(a: Signals, b: Signals): Signals {
  const crashes = both(a.crashes, b.crashes, (x, y) => x + y);
  const golden = both(a.golden, b.golden, (x, y) => ({ run: x.run + y.run, wrong: x.wrong + y.wrong }));
  const feedback = both(a.feedback, b.feedback, (x, y) => ({ total: x.total + y.total, wrong: x.wrong + y.wrong }));
  const shadow = both(a.shadow, b.shadow, (x, y) => ({
    compared: x.compared + y.compared,
    disagreed: x.disagreed + y.disagreed,
    dropped: x.dropped + y.dropped,
    maxError: mergeSketches(x.maxError, y.maxError),
    cost: mergeSketches(x.cost, y.cost),
  }));
  const outputs = both(a.outputs, b.outputs, (x, y) =>
    mergeRecords(x, y, OUTPUTS_PER_WINDOW, (one, other) => ({
      values: mergeSketches(one.values, other.values),
      notFinite: one.notFinite + other.notFinite,
    })),
  );
  const metrics = both(a.metrics, b.metrics, (x, y) => mergeRecords(x, y, METRICS_PER_WINDOW, mergeSketches));
  return {
    ...(crashes !== undefined && { crashes }),
    ...(golden && { golden }),
    ...(feedback && { feedback }),
    ...(shadow && { shadow }),
    ...(outputs && { outputs }),
    ...(metrics && { metrics }),
  };
}

export function mergeSketches(a: Uint8Array, b: Uint8Array): Uint8Array {
  const sketch = QuantileSketch.decode(a);
  sketch.merge(QuantileSketch.decode(b));
  return sketch.encode();
}

function both<T>(a: T | undefined, b: T | undefined, merge: (a: T, b: T) => T): T | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return merge(a, b);
}

/** Names beyond the limit of one window are left out, as they are when they first come up. */
function mergeRecords<T>(
  a: Readonly<Record<string, T>>,
  b: Readonly<Record<string, T>>,
  most: number,
  merge: (a: T, b: T) => T,
): Record<string, T> {
  const merged = new Map(Object.entries(a));
  for (const [name, value] of Object.entries(b)) {
    const known = merged.get(name);
    if (known !== undefined) merged.set(name, merge(known, value));
    else if (merged.size < most) merged.set(name, value);
  }
  return Object.fromEntries(merged);
}
