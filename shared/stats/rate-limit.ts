import { requireAtLeast, requireLevel } from './arguments.js';
import { bisect, logMeanExp } from './log-space.js';

/** Events over exposure (predictions, devices, device hours) since counting began. */
interface RateCount {
  readonly events: number;
  readonly exposure: number;
}

interface RateLimitEvidence {
  /** ln of the e-value against "the rate is at most `limit`". */
  readonly evidenceAbove: number;
  /** ln of the e-value against "the rate is at least `limit`". */
  readonly evidenceBelow: number;
}

const FACTORS = [1.1, 1.25, 1.5, 2, 3, 5, 10, 30] as const;

/**
 * Anytime-valid test of one event rate against a fixed limit: Poisson likelihood ratios mixed over alternatives (Robbins
 * 1970). Valid for Bernoulli events too, since E[r^X] = 1 + p (r - 1) <= exp(p (r - 1)).
 */
export function rateLimitEvidence(count: RateCount, limit: number, dispersion = 1): RateLimitEvidence {
  checkCount(count);
  requireAtLeast(limit, 1e-15, 'limit');
  requireAtLeast(dispersion, 1, 'dispersion');
  const expected = limit * count.exposure;
  const against = (ratio: number): number => (count.events * Math.log(ratio) - expected * (ratio - 1)) / dispersion;
  return {
    evidenceAbove: logMeanExp(FACTORS.map(against)),
    evidenceBelow: logMeanExp([...FACTORS.map((factor) => 1 / factor), 1e-3].map(against)),
  };
}

/** Confidence sequence for one event rate, valid at all times at once with probability 1 - alpha (half of it on each side). */
export function rateInterval(count: RateCount, alpha: number, dispersion = 1): { lower: number; upper: number } {
  requireLevel(alpha, 'alpha');
  checkCount(count);
  if (count.exposure === 0) return { lower: 0, upper: Number.POSITIVE_INFINITY };
  const need = Math.log(2 / alpha);
  const observed = Math.log(Math.max(count.events, 1e-3) / count.exposure);
  const span = Math.log(1e9);
  const upper = bisect((x) => rateLimitEvidence(count, Math.exp(x), dispersion).evidenceBelow - need, observed, observed + span);
  if (count.events === 0) return { lower: 0, upper: Math.exp(upper) };
  const below = bisect((x) => rateLimitEvidence(count, Math.exp(-x), dispersion).evidenceAbove - need, -observed, span - observed);
  return { lower: Math.exp(-below), upper: Math.exp(upper) };
}

function checkCount(count: RateCount): void {
  requireAtLeast(count.events, 0, 'events');
  requireAtLeast(count.exposure, 0, 'exposure');
}
