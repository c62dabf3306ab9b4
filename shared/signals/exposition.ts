import type { MetricFamily } from '#shared/kernel/exposition.js';
import type { SampleOptions } from './form.js';
import { type Exported, type Signal, UNITS } from './signal.js';

/** Values of signals under the labels of what they belong to. */
export interface Labelled {
  readonly labels: SampleOptions['labels'];
  /** The sum of the signal, in its form. */
  value(signal: Signal): unknown;
}

/**
 * The Prometheus families of some signals on one side. A family whose signals are many (the phases of a prediction) is one; one
 * without samples is there all the same, so that what may come is known.
 */
export function signalFamilies(
  signals: Iterable<Signal>,
  side: 'agent' | 'hub',
  series: readonly Labelled[],
  wanted: (exported: Exported) => boolean = () => true,
): MetricFamily[] {
  const families = new Map<string, MetricFamily & { readonly samples: MetricFamily['samples'][number][] }>();
  for (const signal of signals) {
    for (const exported of signal[side] ?? []) {
      if (!wanted(exported)) continue;
      const { name, help, type, part, fault } = exported;
      const family = families.get(name) ?? { name, help, type, samples: [] };
      families.set(name, family);
      for (const one of series) {
        const sum = one.value(signal);
        if (sum === undefined) continue;
        const options = { labels: { ...one.labels, ...exported.labels }, scale: UNITS[signal.unit], zero: signal.zero, part, fault };
        family.samples.push(...signal.form.samples(sum, options));
      }
    }
  }
  return [...families.values()];
}
