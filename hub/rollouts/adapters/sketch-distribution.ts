import type { QuantileSketch } from '#shared/stats/sketch.js';
import type { Distribution } from '../decide/evidence/window.js';

/** A sketch as the evidence reads it; a quantile asked again is not worked out again. */
export class SketchDistribution implements Distribution {
  readonly #sketch: QuantileSketch;
  readonly #quantiles = new Map<number, number | undefined>();

  constructor(sketch: QuantileSketch) {
    this.#sketch = sketch;
  }

  get count(): number {
    return this.#sketch.count;
  }

  above(threshold: number): number {
    return this.#sketch.countAbove(threshold);
  }

  quantile(q: number): number | undefined {
    if (!this.#quantiles.has(q)) this.#quantiles.set(q, this.#sketch.quantile(q));
    return this.#quantiles.get(q);
  }
}
