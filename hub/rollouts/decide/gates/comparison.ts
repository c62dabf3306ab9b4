import { logAdd } from '#shared/stats/log-space.js';
import { rateLimitEvidence } from '#shared/stats/rate-limit.js';
import { type RateRatioOptions, type RateStratum, rateRatioEvidence, rateRatioInterval } from '#shared/stats/rate-ratio.js';
import { AGES, type Compared, type GateFigures } from '../../figures.js';
import { finite, type GateResult, type Levels, short } from './result.js';

interface ComparisonRule {
  /** Ratio of event rates that is tolerated, and the one that must be ruled out. */
  readonly tolerate: number;
  readonly ruleOut: number;
  /** A rate of the canary up to this one passes without a comparison, and never fails. */
  readonly negligible: number;
  /** What is compared, for the reason: "errors", "requests slower than 1.2 times the 95 % quantile". */
  readonly what: string;
}

type Figures = Extract<GateFigures, { kind: 'comparison' }>;

/**
 * Canary against control by an anytime-valid test on two event counts (shared/stats/rate-ratio.ts).
 * Fails when even without its worst device the canary is shown to exceed `tolerate`: one broken device is not a bad version.
 * Passes when `ruleOut` is shown not to be reached, or the rate is shown to be negligible.
 */
export function compare(figures: Figures, rule: ComparisonRule, levels: Levels): GateResult {
  const options = { tolerate: rule.tolerate, ruleOut: rule.ruleOut, dispersion: figures.dispersion };
  const worse = evidenceWorse(figures, options);
  const acceptable = rateRatioEvidence(figures.ruledOut.strata, options).evidenceAcceptable;
  const needAlarm = Math.log(1 / levels.alarm);
  const needClearance = Math.log(1 / levels.miss);
  const rate = figures.exposure > 0 ? figures.events / figures.exposure : 0;
  const alarm = rate > rule.negligible ? worse / needAlarm : 0;
  const clearance = Math.max(acceptable, negligible(figures, rule)) / needClearance;
  const interval = rateRatioInterval(figures.tolerated.strata, levels.miss, figures.dispersion);
  const result = {
    gate: figures.gate,
    estimate: finite(interval?.estimate),
    lower: finite(interval?.lower),
    upper: finite(interval?.upper),
    alarm: Math.max(0, alarm),
    clearance: Math.max(0, clearance),
  };
  const seen = `${rule.what}: ${short(result.estimate)} times the control's (${short(result.lower)} to ${short(result.upper)})`;
  if (alarm >= 1) return { ...result, outcome: 'fail', reason: `${seen}, above the ${short(rule.tolerate)} tolerated` };
  if (clearance >= 1) return { ...result, outcome: 'pass', reason: `${seen}; ${short(rule.ruleOut)} is ruled out` };
  return { ...result, outcome: 'insufficient', reason: `${seen}; ${lacking(figures.ruledOut.strata)}` };
}

/** Weight of the devices' whole time; the ages share the rest. */
const WHOLE = 0.7;

/**
 * ln of the e-value that the canary exceeds `tolerate`, without its worst device where that is less. Harm that begins after a
 * while is diluted by fresh devices: what only devices of some age did is tested as well, and a weighted mean of e-values is
 * one (Vovk & Wang, "E-values: Calibration, combination and applications", Annals of Statistics 49(3), 2021, section 4).
 */
function evidenceWorse(figures: Figures, options: RateRatioOptions): number {
  const of = ({ strata, withoutWorst }: Compared): number =>
    Math.min(...[strata, withoutWorst ?? strata].map((counted) => rateRatioEvidence(counted, options).evidenceWorse));
  // Always of as many ages: the weights are fixed before anything is seen, and an age nobody has reached bets nothing.
  const ages = AGES.map((_, i) => figures.aged?.[i] ?? { strata: [] }).map(of);
  return ages.reduce((sum, age) => logAdd(sum, age + Math.log((1 - WHOLE) / AGES.length)), of(figures.tolerated) + Math.log(WHOLE));
}

/** Evidence that the canary's own rate lies below what is negligible. */
function negligible(figures: Figures, rule: ComparisonRule): number {
  if (rule.negligible <= 0) return Number.NEGATIVE_INFINITY;
  const count = { events: figures.events, exposure: figures.exposure };
  return rateLimitEvidence(count, rule.negligible, figures.dispersion).evidenceBelow;
}

function lacking(strata: readonly RateStratum[]): string {
  if (!strata.some((stratum) => stratum.canaryExposure > 0)) return 'no canary device reported yet';
  if (!strata.some((stratum) => stratum.controlExposure > 0)) return 'no control device reported yet';
  return 'not enough evidence yet';
}
