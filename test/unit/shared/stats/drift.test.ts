import { describe, expect, it } from 'vitest';
import { histogramOf, kolmogorovSmirnov } from '#shared/stats/drift.js';
import { QuantileSketch } from '#shared/stats/sketch.js';

describe('drift distances', () => {
  it('are 0 between equal shares and largest between disjoint ones', () => {
    expect(kolmogorovSmirnov([5, 5], [5, 5])).toBeCloseTo(0);
    expect(kolmogorovSmirnov([1, 0], [0, 1])).toBe(1);
  });

  it('agree with values worked out by hand', () => {
    expect(kolmogorovSmirnov([1, 1, 2], [2, 1, 1])).toBeCloseTo(0.25);
  });

  it.each([
    [[], []],
    [[1], [1, 2]],
    [
      [0, 0],
      [1, 1],
    ],
    [[Number.NaN], [1]],
    [
      [-1, 2],
      [1, 1],
    ],
  ])('refuse %j against %j', (a, b) => {
    expect(() => kolmogorovSmirnov(a, b)).toThrow(expect.objectContaining({ code: 'STATS_ARGUMENT' }));
  });

  it('cut a sketch into bins', () => {
    const sketch = new QuantileSketch();
    for (const value of [-2, 0, 1, 5, 50]) sketch.add(value, 2);
    expect(histogramOf(sketch, [-1, 3, 10])).toEqual([2, 4, 2, 2]);
    expect(sketch.countAbove(3)).toBe(4);
  });
});
