import { requireAtLeast, requireLevel } from './arguments.js';
import type { QuantileSketch } from './sketch.js';

export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/**
 * Confidence sequence for the `q`-quantile of independent values seen so far as a sketch: holds at all times at once with
 * probability 1 - alpha; ends are widened by the sketch's 1 %. An end nothing bounds is infinite.
 * Source: S. R. Howard, A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
 * identification", Bernoulli 28(3), 2022, equations (6) and (7).
 */
export function quantileInterval(sketch: QuantileSketch, q: number, alpha: number): Interval {
  requireLevel(q, 'q');
  requireLevel(alpha, 'alpha');
  const n = sketch.count;
  const low = n === 0 ? 0 : q - rankRadius(q, n, alpha);
  const high = n === 0 ? 1 : q + rankRadius(1 - q, n, alpha);
  return {
    lower: low > 0 ? lowerEnd(sketch, low) : Number.NEGATIVE_INFINITY,
    upper: high < 1 ? upperEnd(sketch, high) : Number.POSITIVE_INFINITY,
  };
}

/** Confidence sequence for the ratio of the `q`-quantiles of two positive samples, canary over control (a union bound). */
export function quantileRatioInterval(canary: QuantileSketch, control: QuantileSketch, q: number, alpha: number): Interval {
  const a = quantileInterval(canary, q, alpha / 2);
  const b = quantileInterval(control, q, alpha / 2);
  return { lower: ratio(a.lower, b.upper), upper: ratio(a.upper, b.lower) };
}

/**
 * Radius of a confidence band around an empirical distribution function of `n` independent values, for all points and all
 * n at once (Howard & Ramdas 2022, Theorem 2: the Dvoretzky-Kiefer-Wolfowitz inequality with an iterated logarithm).
 */
export function bandRadius(n: number, alpha: number): number {
  requireLevel(alpha, 'alpha');
  requireAtLeast(n, 0, 'n');
  if (n < 1) return 1;
  return Math.min(1, 0.85 * Math.sqrt((Math.log(Math.log(Math.E * n)) + 0.8 * Math.log(1612 / alpha)) / n));
}

function rankRadius(p: number, n: number, alpha: number): number {
  const l = (1.4 * Math.log(Math.max(1, Math.log(2.1 * n))) + Math.log(10 / alpha)) / n;
  return 1.5 * Math.sqrt(p * (1 - p) * l) + 0.8 * l;
}

/** Both ends take the neighbouring order statistic outwards, and the sketch's error outwards. */
function lowerEnd(sketch: QuantileSketch, q: number): number {
  const value = sketch.quantile(q) ?? Number.NEGATIVE_INFINITY;
  return value >= 0 ? value / 1.0102 : value * 1.0102;
}

function upperEnd(sketch: QuantileSketch, q: number): number {
  const value = sketch.quantile(Math.min(1, q + 1 / sketch.count)) ?? Number.POSITIVE_INFINITY;
  return value >= 0 ? value * 1.0102 : value / 1.0102;
}

function ratio(numerator: number, denominator: number): number {
  if (denominator <= 0) return Number.POSITIVE_INFINITY;
  return Math.max(0, numerator) / denominator;
}
