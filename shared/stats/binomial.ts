import { requireAtLeast, requireLevel } from './arguments.js';

/** Chance of at least `events` of `trials` independent trials, each with probability `p` in (0, 1): the upper tail of the binomial distribution. */
export function binomialTail(events: number, trials: number, p: number): number {
  requireAtLeast(trials, 0, 'trials');
  requireLevel(p, 'p');
  if (events <= 0) return 1;
  if (events > trials) return 0;
  let log = events * Math.log(p) + (trials - events) * Math.log1p(-p);
  for (let i = 1; i <= events; i++) log += Math.log((trials - events + i) / i);
  // From there each term follows from the one before; beyond the mode they fall, and soon add nothing.
  let term = Math.exp(log);
  let sum = term;
  for (let k = events; k < trials; k++) {
    term *= ((trials - k) / (k + 1)) * (p / (1 - p));
    sum += term;
    if (k > trials * p && term < sum * 1e-15) break;
  }
  return Math.min(1, sum);
}
