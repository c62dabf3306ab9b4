import { minutes } from '#shared/kernel/time.js';
import { quantileInterval, quantileRatioInterval } from '#shared/stats/quantile-sequence.js';
import { rateInterval, rateLimitEvidence } from '#shared/stats/rate-limit.js';
import type { DesiredGuard } from '#shared/protocol/desired-rollout.js';
import type { BehaviourFigures } from '../ports.js';

/** What a version on trial is held to, complete. */
export type GuardLimits = { readonly [K in Exclude<keyof DesiredGuard, 'bake'>]-?: Exclude<DesiredGuard[K], undefined> };

/** The device's own limits: wide, since a device sees little and its noise is large; the hub's gates see finer differences. */
export const DEFAULT_GUARD: GuardLimits = {
  predictions: 20,
  errors: { ratio: 1.5, negligible: 0.01 },
  latency: { quantile: 0.5, ratio: 2, negligibleMs: 5 },
  crashes: 1,
  golden: true,
};

/** Chance that one comparison ever takes back a version that is no worse: small, for there are thousands of devices. */
const FALSE_ALARM = 1e-4;
/** Failure rate that is held possible of a version before which too little is known. */
const UNKNOWN_RATE = 0.2;

/** Self-rollbacks of one model within `BREAKER_WINDOW` after which the device tries nothing new by itself. */
export const BREAKER_LIMIT = 3;
const BREAKER_WINDOW = minutes(24 * 60);

export interface TrialFigures {
  /** The version before, in the time before the switch; `undefined` when there was none. */
  readonly baseline: BehaviourFigures | undefined;
  readonly trial: BehaviourFigures;
  /**
   * Why requests that fitted the version before may not fit this one, where its own inputs or outputs changed so. Only then
   * do requests refused for what callers sent count: otherwise they would have been refused before as well.
   */
  readonly narrowed?: string;
  /** Golden samples run again during the trial; `undefined` when they were not yet. */
  readonly golden: { readonly wrong: number; readonly run: number; readonly reason: string | undefined } | undefined;
}

interface GuardAlarm {
  readonly code: 'MODELS_GUARD_ERRORS' | 'MODELS_GUARD_LATENCY' | 'MODELS_GUARD_CRASHES' | 'MODELS_GUARD_GOLDEN';
  readonly message: string;
  /** What it was decided on. */
  readonly figures: Readonly<Record<string, number>>;
}

export function guardLimits(guard: DesiredGuard | undefined): GuardLimits {
  const { predictions, errors, latency, crashes, golden } = guard ?? {};
  return {
    predictions: predictions ?? DEFAULT_GUARD.predictions,
    errors: errors === undefined ? DEFAULT_GUARD.errors : errors,
    latency: latency === undefined ? DEFAULT_GUARD.latency : latency,
    crashes: crashes === undefined ? DEFAULT_GUARD.crashes : crashes,
    golden: golden ?? DEFAULT_GUARD.golden,
  };
}

/**
 * Whether a version on trial is to be taken back, and why. Pure. The tests hold however often one looks: each comparison
 * takes back a version that is no worse than allowed with probability FALSE_ALARM at most over the whole trial.
 */
export function judgeTrial(figures: TrialFigures, limits: GuardLimits): GuardAlarm | undefined {
  return judgeGolden(figures, limits) ?? judgeCrashes(figures, limits) ?? judgeErrors(figures, limits) ?? judgeLatency(figures, limits);
}

function judgeGolden({ golden }: TrialFigures, limits: GuardLimits): GuardAlarm | undefined {
  if (!limits.golden || golden === undefined || golden.wrong === 0) return undefined;
  const message = `${golden.wrong} of ${golden.run} golden samples gave other answers than at the start: ${golden.reason ?? ''}`;
  return { code: 'MODELS_GUARD_GOLDEN', message, figures: { run: golden.run, wrong: golden.wrong } };
}

function judgeCrashes({ trial }: TrialFigures, { crashes }: GuardLimits): GuardAlarm | undefined {
  if (crashes === null || trial.crashes <= crashes) return undefined;
  const message = `its instances ended unexpectedly ${trial.crashes} times during the trial, at most ${crashes} are tolerated`;
  return { code: 'MODELS_GUARD_CRASHES', message, figures: { crashes: trial.crashes, tolerated: crashes } };
}

/**
 * Failures against a limit that follows from the old version: `ratio` times the upper end of a confidence sequence for its
 * rate (shared/stats/rate-limit.ts; half of the false alarms for that end, half for the test).
 */
function judgeErrors({ trial, baseline, narrowed }: TrialFigures, limits: GuardLimits): GuardAlarm | undefined {
  const now = failures(trial, narrowed);
  if (limits.errors === null || now.exposure < limits.predictions) return undefined;
  const { ratio, negligible } = limits.errors;
  const old = baseline && failures(baseline, narrowed);
  const before = rateBefore(old);
  const limit = Math.max(negligible, ratio * before.bound, 1e-9);
  const { evidenceAbove } = rateLimitEvidence(now, limit);
  if (evidenceAbove < Math.log(2 / FALSE_ALARM)) return undefined;
  const rate = now.events / now.exposure;
  const changed = narrowed === undefined ? '' : `; refused requests count, since ${narrowed}`;
  return {
    code: 'MODELS_GUARD_ERRORS',
    message: `${now.events} of ${now.exposure} predictions failed (${percent(rate)}), of the version before ${before.text}; ${percent(limit)} is the limit${changed}`,
    figures: { predictions: now.exposure, failed: now.events, rate, limit, baselinePredictions: old?.exposure ?? 0 },
  };
}

/** What counts as failed, of how many. */
function failures({ predictions, failed, refused }: BehaviourFigures, narrowed: string | undefined): Counted {
  return narrowed === undefined ? { events: failed, exposure: predictions } : { events: failed + refused, exposure: predictions + refused };
}

interface Counted {
  readonly events: number;
  readonly exposure: number;
}

function rateBefore(baseline: Counted | undefined): { readonly bound: number; readonly text: string } {
  if (baseline === undefined || baseline.exposure === 0) return { bound: UNKNOWN_RATE, text: 'nothing is known' };
  const rate = baseline.events / baseline.exposure;
  const { upper } = rateInterval(baseline, FALSE_ALARM);
  return { bound: Math.min(upper, Math.max(UNKNOWN_RATE, 2 * rate)), text: percent(rate) };
}

/** Confidence sequence for the ratio of quantiles (shared/stats/quantile-sequence.ts). */
function judgeLatency({ trial, baseline }: TrialFigures, limits: GuardLimits): GuardAlarm | undefined {
  if (limits.latency === null || baseline === undefined || trial.latency.count < limits.predictions) return undefined;
  const { quantile, ratio, negligibleMs } = limits.latency;
  const { lower } = quantileRatioInterval(trial.latency, baseline.latency, quantile, FALSE_ALARM);
  if (!(lower > ratio) || !(quantileInterval(trial.latency, quantile, FALSE_ALARM).lower > negligibleMs)) return undefined;
  const [now = 0, before = 0] = [trial.latency.quantile(quantile), baseline.latency.quantile(quantile)];
  return {
    code: 'MODELS_GUARD_LATENCY',
    message: `the ${quantile * 100} % quantile of a request is ${short(now)} ms, of the version before ${short(before)} ms: surely more than ${short(lower)} times, ${short(ratio)} is the limit`,
    figures: { predictions: trial.latency.count, quantile, nowMs: now, beforeMs: before, ratioAtLeast: lower, limit: ratio },
  };
}

/** True when a device has rolled back so many versions of a model lately that it tries no other until the hub asks again. */
export function isTripped(breaker: { readonly times: readonly number[] } | undefined, now: number): boolean {
  return (breaker?.times.filter((time) => Math.abs(now - time) < BREAKER_WINDOW).length ?? 0) >= BREAKER_LIMIT;
}

function percent(share: number): string {
  return `${short(share * 100)} %`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
