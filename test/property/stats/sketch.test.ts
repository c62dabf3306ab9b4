import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '#shared/kernel/errors.js';
import { MAX_BINS } from '#shared/stats/bins.js';
import { histogramOf } from '#shared/stats/drift.js';
import { QuantileSketch } from '#shared/stats/sketch.js';

const value = fc.oneof(
  fc.double({ min: -1e150, max: 1e150, noNaN: true }),
  fc.double({ min: 0, max: 1000, noNaN: true }),
  fc.constantFrom(0, -0, 1e-12, -1e-12, 1e-13, 1, -1, 1e150, -1e150),
);
const item = fc.tuple(value, fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 1_000_000 })));
const items = fc.array(item, { maxLength: 60 });

function sketchOf(list: readonly (readonly [number, number])[]): QuantileSketch {
  const sketch = new QuantileSketch();
  for (const [v, weight] of list) sketch.add(v, weight);
  return sketch;
}
function merged(...parts: QuantileSketch[]): QuantileSketch {
  const sketch = new QuantileSketch();
  for (const part of parts) sketch.merge(part);
  return sketch;
}

describe('QuantileSketch', () => {
  it('counts the values above a threshold as its bins tell', () => {
    fc.assert(
      fc.property(items, value, (list, threshold) => {
        const sketch = sketchOf(list);
        expect(sketch.countAbove(threshold)).toBe(histogramOf(sketch, [threshold])[1]);
      }),
    );
  });

  it('answers every quantile within 1 % of the exact one', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        const sketch = sketchOf(values.map((v) => [v, 1]));
        const sorted = [...values].sort((a, b) => a - b);
        const exact = sorted[Math.floor(q * (sorted.length - 1))]!;
        const got = sketch.quantile(q)!;
        expect(Math.abs(got - exact)).toBeLessThanOrEqual(0.01 * (1 + 1e-9) * Math.abs(exact) + 1e-12);
      }),
    );
  });

  it('merges in any order and grouping to the same bytes', () => {
    fc.assert(
      fc.property(items, items, items, (a, b, c) => {
        const direct = sketchOf([...a, ...b, ...c]).encode();
        expect(merged(merged(sketchOf(a), sketchOf(b)), sketchOf(c)).encode()).toEqual(direct);
        expect(merged(sketchOf(c), merged(sketchOf(b), sketchOf(a))).encode()).toEqual(direct);
      }),
    );
  });

  it('keeps merging exact when bins are joined', () => {
    const wide = fc.array(fc.double({ min: 1e-12, max: 1e150, noNaN: true }), {
      minLength: MAX_BINS,
      maxLength: MAX_BINS + 200,
      size: 'max',
    });
    const spread = (values: number[]): [number, number][] => values.map((_, i) => [1.0203 ** (i - 1000), 1]);
    fc.assert(
      fc.property(wide, fc.integer({ min: 0, max: 3000 }), (values, cut) => {
        const list: [number, number][] = [...spread(values), ...values.map((v): [number, number] => [v, 2])];
        const direct = sketchOf(list);
        expect(direct.bins().length).toBeLessThanOrEqual(MAX_BINS);
        const parts = merged(sketchOf(list.slice(cut)), sketchOf(list.slice(0, cut)));
        expect(parts.encode()).toEqual(direct.encode());
        expect(QuantileSketch.decode(direct.encode()).encode()).toEqual(direct.encode());
        expect(direct.count).toBe(values.length * 3);
      }),
      { numRuns: 5 },
    );
  });

  it('keeps count, sum, minimum and maximum exact', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { minLength: 1 }), (values) => {
        const sketch = sketchOf(values.map((v) => [v, 1]));
        expect(sketch.count).toBe(values.length);
        expect(sketch.sum).toBe(values.reduce((a, b) => a + b, 0));
        expect(sketch.min).toBe(Math.min(...values));
        expect(sketch.max).toBe(Math.max(...values));
      }),
    );
  });

  it('weights as repeated values, to the bit', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(value, fc.integer({ min: 1, max: 20 })), { maxLength: 20 }), (list) => {
        const repeated = list.flatMap(([v, weight]) => Array.from({ length: weight }, (): [number, number] => [v, 1]));
        expect(sketchOf(list).encode()).toEqual(sketchOf(repeated).encode());
      }),
    );
  });

  it('survives its encoding', () => {
    fc.assert(
      fc.property(items, (list) => {
        const bytes = sketchOf(list).encode();
        expect(QuantileSketch.decode(bytes).encode()).toEqual(bytes);
      }),
    );
  });

  it('reads hostile bytes into a sketch of the same bytes or a coded error', () => {
    const check = (bytes: Uint8Array): void => {
      try {
        expect(QuantileSketch.decode(bytes).encode()).toEqual(bytes);
      } catch (thrown) {
        if (!hasCode(thrown, 'SKETCH_INVALID')) throw thrown;
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 2000 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => check(Uint8Array.from([1, ...tail]))),
      { numRuns: 2000 },
    );
    const mutation = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(items, fc.array(mutation, { minLength: 1, maxLength: 3 }), fc.nat(), (list, mutations, cut) => {
        const bytes = sketchOf(list).encode();
        for (const [at, to] of mutations) bytes[at % bytes.length] = to;
        check(bytes);
        check(bytes.subarray(0, cut % bytes.length));
      }),
      { numRuns: 2000 },
    );
  });
});
