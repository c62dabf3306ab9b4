import { histogramOf } from '#shared/stats/drift.js';
import type { QuantileSketch } from '#shared/stats/sketch.js';

/** Sampled values of one output. */
interface OutputSums {
  readonly values: QuantileSketch;
  readonly notFinite: number;
}

/** Values whose logarithmic distance decides the bins of an output: 8 a decade from 1e-6 to 1e6, on both sides of zero. */
const MAGNITUDES = Array.from({ length: 97 }, (_, i) => 10 ** (-6 + i / 8));
const EDGES: readonly number[] = [...MAGNITUDES.map((edge) => -edge).toReversed(), ...MAGNITUDES];

/** An output counted in bins that are the same for every version; values that are no numbers last. */
export function outputBins({ values, notFinite }: OutputSums): number[] {
  return [...histogramOf(values, EDGES), notFinite];
}
