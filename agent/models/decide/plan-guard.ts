import { type Millis, seconds } from '#shared/kernel/time.js';
import { bakeOf, factsOf, fallbacks, isAvailable } from './facts.js';
import { judgeTrial } from './guard.js';
import type { Rule } from './rule.js';
import type { DeviceSnapshot, ModelSnapshot } from './snapshot.js';

// Rules by which a device judges a version on trial itself, without the hub. Each is pure; their order is in plan.ts.

/** The device went back so often that it tries nothing new before somebody says so under another attempt. */
export const breakerRule: Rule = (snapshot) => {
  const { model, desired, serving, trippedAttempt } = snapshot;
  const facts = factsOf(snapshot, desired?.version);
  if (facts === undefined || serving === undefined || trippedAttempt === undefined || desired?.attempt !== trippedAttempt) return undefined;
  const { version, install } = facts.record;
  if (version === serving.serving || install === 'good' || install === 'probation' || install === 'bad') return undefined;
  const message = `${model} went back by itself too often within a day; ${version} is not tried under attempt ${trippedAttempt}`;
  return { kind: 'markBad', model, version, error: { code: 'MODELS_GUARD_FLAPPING', message } };
};

/** The version on trial is worse than the one before, and there is one to go back to (R2). */
export const guardRule: Rule = (snapshot, { complete }) => {
  const { model, serving, trial } = snapshot;
  const serves = factsOf(snapshot, serving?.serving);
  if (trial === undefined || serves === undefined || !isAvailable(serves) || serves.record.install !== 'probation') return undefined;
  if (fallbacks(snapshot, complete).length === 0) return undefined;
  const alarm = judgeTrial(trial, trial.limits);
  if (alarm === undefined) return undefined;
  const { version } = serves.record;
  const error = { code: alarm.code, message: `${model} ${version}: ${alarm.message}`, figures: alarm.figures };
  return { kind: 'markBad', model, version, error };
};

/** Halfway through its trial a version has met real requests: its golden samples are run again. */
export const recheckRule: Rule = (snapshot, { device }) => {
  const { model, serving, servingSince, trial } = snapshot;
  const serves = factsOf(snapshot, serving?.serving);
  if (trial === undefined || servingSince === undefined || serves === undefined || !isAvailable(serves)) return undefined;
  if (!trial.limits.golden || trial.golden !== undefined || device.now < servingSince + bakeOf(snapshot, device) / 2) return undefined;
  return { kind: 'recheck', model, version: serves.record.version };
};

/** False while a version on trial still has to give its golden outputs again, or gave others. */
export function isRechecked({ trial }: ModelSnapshot): boolean {
  return trial === undefined || !trial.limits.golden || trial.golden?.wrong === 0;
}

/** When to look at a version on trial again, monotonic; `undefined` when there is none. */
export function nextLook(snapshot: ModelSnapshot, device: DeviceSnapshot): Millis | undefined {
  if (snapshot.trial === undefined) return undefined;
  return device.now + Math.min(seconds(30), Math.max(seconds(1), bakeOf(snapshot, device) / 60));
}
