import type { GateRule, QuantileRule } from '../gate-rule.js';
import type { Tally } from '#hub/telemetry/tally.js';
import { type Baseline, type DeviceWindow, type Distribution, type Group, valuesKey } from './window.js';

/** What a comparing gate counts in one window: events against `tolerate`, against `ruleOut`, and how many were to be expected. */
export interface Reading {
  readonly tolerated: number;
  readonly ruledOut: number;
  /** Exposure, weighted by how often this very device had such events before. */
  readonly expected: number;
  /** Exposure as it is. */
  readonly exposure: number;
}

export type Meter = (window: DeviceWindow, group: Group, baseline: Baseline | undefined) => Reading | undefined;

/** Events of the whole fleet a device's own history is weighed against. */
const PRIOR_EVENTS = 5;

/** The meter of a comparing gate; `undefined` for other gates. `fleet` is what all devices together reported before. */
export function meterOf(rule: GateRule, fleet: Baseline | undefined): Meter | undefined {
  if (rule.test === 'rate') {
    const { name } = rule.signal;
    return (window, _group, baseline) => rateReading(window.tallies[name], baseline?.tallies[name], fleet?.tallies[name]);
  }
  if (rule.test !== 'quantile') return undefined;
  const key = valuesKey(rule.signal.name, rule.name);
  const before = (from: Baseline | undefined): number | undefined => from?.values?.[key]?.quantile(rule.quantile);
  const ofFleet = before(fleet);
  return (window, group, baseline) => quantileReading(window.values?.[key], before(baseline) ?? ofFleet, group, rule);
}

/**
 * Indirect standardization (Breslow & Day, "Statistical Methods in Cancer Research" II, 1987, chapter 2): a device that
 * always had more errors is expected to have more now. Its own rate is drawn towards the fleet's as an empirical Bayes
 * estimate (Clayton & Kaldor 1987), so that a device with little history counts as an average one.
 */
function rateReading(tally: Tally | undefined, own: Tally | undefined, fleet: Tally | undefined): Reading | undefined {
  if (tally === undefined) return undefined;
  const mean = fleet !== undefined && fleet.exposure > 0 ? fleet.events / fleet.exposure : 0;
  const weight = mean > 0 ? ((own?.events ?? 0) + PRIOR_EVENTS) / ((own?.exposure ?? 0) + PRIOR_EVENTS / mean) / mean : 1;
  return { tolerated: tally.events, ruledOut: tally.events, expected: tally.exposure * weight, exposure: tally.exposure };
}

/**
 * The q-quantile of the new version is at most `factor` times that of the old one exactly when values above `factor` times
 * the old quantile are no more frequent than values above it were: the canary is counted above the stretched threshold of
 * each device's own history, the control above the plain one, and the two counts are compared. Where less is worse, values
 * below count, and the threshold is divided by the factor.
 */
function quantileReading(
  values: Distribution | undefined,
  threshold: number | undefined,
  group: Group,
  rule: Pick<QuantileRule, 'harm' | 'tolerate' | 'ruleOut'>,
): Reading | undefined {
  if (values === undefined || threshold === undefined || values.count === 0) return undefined;
  const worse = (by: number): number => (rule.harm === 'more' ? values.above(threshold * by) : values.count - values.above(threshold / by));
  const expected = values.count;
  if (group === 'control') {
    const events = worse(1);
    return { tolerated: events, ruledOut: events, expected, exposure: expected };
  }
  return { tolerated: worse(rule.tolerate), ruledOut: worse(rule.ruleOut), expected, exposure: expected };
}
