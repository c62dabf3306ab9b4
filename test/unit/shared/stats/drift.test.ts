import { describe, expect, it } from 'vitest';
import { histogramOf, jensenShannon, kolmogorovSmirnov, populationStability } from '#shared/stats/drift.js';
import { QuantileSketch } from '#shared/stats/sketch.js';

describe('drift distances', () => {
  it('are 0 between equal shares and largest between disjoint ones', () => {
    for (const distance of [populationStability, jensenShannon, kolmogorovSmirnov]) expect(distance([5, 5], [5, 5])).toBeCloseTo(0);
    expect(jensenShannon([1, 0], [0, 1])).toBe(1);
    expect(kolmogorovSmirnov([1, 0], [0, 1])).toBe(1);
    expect(populationStability([1000, 0], [0, 1000])).toBeGreaterThan(10);
  });

  it('agree with values worked out by hand', () => {
    expect(kolmogorovSmirnov([1, 1, 2], [2, 1, 1])).toBeCloseTo(0.25);
    expect(jensenShannon([1, 1], [1, 3])).toBeCloseTo(0.0487949, 6);
    expect(populationStability([49.5, 49.5], [24.5, 74.5])).toBeCloseTo(0.25 * Math.log(3), 3);
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
    for (const distance of [jensenShannon, kolmogorovSmirnov]) {
      expect(() => distance(a, b)).toThrow(expect.objectContaining({ code: 'STATS_ARGUMENT' }));
    }
  });

  it('cut a sketch into bins', () => {
    const sketch = new QuantileSketch();
    for (const value of [-2, 0, 1, 5, 50]) sketch.add(value, 2);
    expect(histogramOf(sketch, [-1, 3, 10])).toEqual([2, 4, 2, 2]);
    expect(sketch.countAbove(3)).toBe(4);
  });
});
