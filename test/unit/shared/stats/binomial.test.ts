import { describe, expect, it } from 'vitest';
import { binomialTail } from '#shared/stats/binomial.js';

describe('binomialTail', () => {
  it('is the chance of so many events or more', () => {
    // By hand: 1 - 0.9^10, and of two dice no six.
    expect(binomialTail(1, 10, 0.1)).toBeCloseTo(1 - 0.9 ** 10, 12);
    expect(binomialTail(2, 2, 1 / 6)).toBeCloseTo(1 / 36, 12);
    expect(binomialTail(5, 10, 0.5)).toBeCloseTo(638 / 1024, 12);
    expect([binomialTail(0, 10, 0.1), binomialTail(11, 10, 0.1), binomialTail(1, 0, 0.1)]).toEqual([1, 0, 0]);
  });

  it('holds far out and for many trials', () => {
    // R: pbinom(9, 10000, 2e-4, lower.tail = FALSE)
    expect(binomialTail(10, 10_000, 2e-4)).toBeCloseTo(4.6e-5, 6);
    expect(binomialTail(200, 1_000_000, 2e-4)).toBeCloseTo(0.509, 2);
  });

  it('refuses what is no probability', () => {
    expect(() => binomialTail(1, 10, 0)).toThrow(expect.objectContaining({ code: 'STATS_ARGUMENT' }) as Error);
  });
});
