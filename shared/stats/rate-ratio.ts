import { requireAtLeast, requireLevel } from './arguments.js';
import { bisect, logAdd, logMeanExp } from './log-space.js';

/** Events and exposure of both groups within one stretch of time; exposures in any unit, the same for both. */
export interface RateStratum {
  readonly canaryEvents: number;
  readonly canaryExposure: number;
  readonly controlEvents: number;
  readonly controlExposure: number;
}

export interface RateRatioOptions {
  /** Null hypothesis of `evidenceWorse`: the canary's rate is at most this many times the control's. */
  readonly tolerate: number;
  /** Null hypothesis of `evidenceAcceptable`: the canary's rate is at least this many times the control's. */
  readonly ruleOut: number;
  /** How much more than Poisson counts vary (1: not at all); evidence is tempered by it. */
  readonly dispersion: number;
}

/** Natural logarithms of e-values; either may be compared with ln(1 / alpha) after every new stratum. */
interface RateRatioEvidence {
  readonly evidenceWorse: number;
  readonly evidenceAcceptable: number;
}

/** Alternatives to the null, as factors away from it. */
const FACTORS = [1.15, 1.3, 1.6, 2, 2.5, 3.2, 4, 6, 10, 20, 50] as const;

/**
 * Anytime-valid comparison of two event rates whose common level may change from stratum to stratum.
 *
 * Given the events of a stratum in total, those of the canary are binomial with a share that depends on the ratio of rates
 * alone (Przyborowski & Wilenski 1940); likelihood ratios against the edge of the null multiply to a test martingale, and
 * a mixture over alternatives stays one (Robbins 1970; for counts: Lindon & Malek, "Anytime-Valid Inference for Multinomial
 * Count Data", NeurIPS 2022). By Ville's inequality it ever exceeds 1/alpha under the null with probability alpha at most.
 * `evidenceWorse` also mixes over the stratum at which the harm began (weights as in Shin, Ramdas & Rinaldo, "E-detectors",
 * 2023), so that a long good start does not hide a late fault. For Bernoulli events it is conservative.
 *
 * With `dispersion` f every likelihood ratio is raised to 1/f. That can not push a mixture above 1/alpha that was below
 * (Jensen), so the guarantee stands, and counts that cluster by device weigh as the fewer independent ones they are
 * (quasi-likelihood: Wedderburn 1974; tempering: Grünwald 2012).
 */
export function rateRatioEvidence(strata: readonly RateStratum[], options: RateRatioOptions): RateRatioEvidence {
  const { tolerate, ruleOut, dispersion } = options;
  requireAtLeast(tolerate, 1e-9, 'tolerate');
  requireAtLeast(ruleOut, tolerate, 'ruleOut');
  requireAtLeast(dispersion, 1, 'dispersion');
  const usable = strata.filter(check);
  const worse = FACTORS.map((factor) => lateMixture(usable.map((s) => logRatio(s, tolerate * factor, tolerate) / dispersion)));
  const acceptable = FACTORS.map((factor) => usable.reduce((sum, s) => sum + logRatio(s, ruleOut / factor, ruleOut) / dispersion, 0));
  return { evidenceWorse: logMeanExp(worse), evidenceAcceptable: logMeanExp(acceptable) };
}

interface RatioInterval {
  readonly estimate: number;
  readonly lower: number;
  /** `Infinity` when nothing bounds it. */
  readonly upper: number;
}

/**
 * Confidence sequence for the ratio of rates: holds at all times at once with probability 1 - alpha. `undefined` while no
 * stratum has events. The mixture of `rateRatioEvidence` inverted, with alternatives on both sides.
 */
export function rateRatioInterval(strata: readonly RateStratum[], alpha: number, dispersion = 1): RatioInterval | undefined {
  requireLevel(alpha, 'alpha');
  requireAtLeast(dispersion, 1, 'dispersion');
  const usable = strata.filter(check).filter((s) => s.canaryEvents + s.controlEvents > 0);
  if (usable.length === 0) return undefined;
  const likelihood = (logR: number): number => usable.reduce((sum, s) => sum + logRatio(s, Math.exp(logR), 1) / dispersion, 0);
  const slope = (logR: number): number => -usable.reduce((sum, s) => sum + s.canaryEvents - expectedShare(s, Math.exp(logR)), 0);
  const best = bisect(slope, -EDGE, EDGE);
  const mixture = logMeanExp(GRID.map(likelihood));
  const outside = (logR: number): number => mixture - likelihood(logR) - Math.log(1 / alpha);
  const lower = bisect((x) => outside(2 * best - x), best, 2 * best + EDGE);
  const upper = bisect(outside, best, EDGE);
  const low = 2 * best - lower;
  return {
    estimate: best <= -EDGE ? 0 : best >= EDGE ? Number.POSITIVE_INFINITY : Math.exp(best),
    lower: low <= -EDGE ? 0 : Math.exp(low),
    upper: upper >= EDGE ? Number.POSITIVE_INFINITY : Math.exp(upper),
  };
}

/** Bounds of the search, in ln(ratio). */
const EDGE = Math.log(1e6);
/** Alternatives of the interval, in ln(ratio): 1/64 to 64 in steps of a quarter. */
const GRID = Array.from({ length: 39 }, (_, i) => (i - 19) * Math.log(1.245));

/** ln of the likelihood ratio of two ratios of rates, for one stratum. */
function logRatio(s: RateStratum, ratio: number, reference: number): number {
  const total = s.canaryEvents + s.controlEvents;
  const spread = (ratio * s.canaryExposure + s.controlExposure) / (reference * s.canaryExposure + s.controlExposure);
  return s.canaryEvents * Math.log(ratio / reference) - total * Math.log(spread);
}

function expectedShare(s: RateStratum, ratio: number): number {
  const weighted = ratio * s.canaryExposure;
  return ((s.canaryEvents + s.controlEvents) * weighted) / (weighted + s.controlExposure);
}

/** ln of the mixture over starting points: half starts at once, the rest at stratum j with weight 1 / (2 j (j + 1)). */
function lateMixture(logRatios: readonly number[]): number {
  let running = Math.log(0.5);
  let unused = 0.5;
  for (const [i, step] of logRatios.entries()) {
    const weight = 0.5 / ((i + 1) * (i + 2));
    unused -= weight;
    running = logAdd(running, Math.log(weight)) + step;
  }
  return logAdd(running, Math.log(unused));
}

/** True for a stratum in which both groups were exposed; throws `STATS_ARGUMENT` for figures that can not be. */
function check(s: RateStratum): boolean {
  requireAtLeast(s.canaryEvents, 0, 'canaryEvents');
  requireAtLeast(s.controlEvents, 0, 'controlEvents');
  requireAtLeast(s.canaryExposure, 0, 'canaryExposure');
  requireAtLeast(s.controlExposure, 0, 'controlExposure');
  return s.canaryExposure > 0 && s.controlExposure > 0;
}
