import { heldUntil } from '#agent/install/decide/install-step.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import {
  bakeOf,
  factsOf,
  fallbacks,
  isAvailable,
  isComplete,
  isLive,
  mainstay,
  MAX_BOOTS_OF_GOOD,
  maySelfServe,
  selfServing,
  toRestore,
} from './facts.js';
import { isRechecked } from './plan-guard.js';
import type { PlanContext, Rule } from './rule.js';
import type { DeviceSnapshot, ModelSnapshot, VersionFacts } from './snapshot.js';
import type { Step } from './step.js';

// Rules that keep a model served (R2) and the runtime tidy. Each is pure and stands alone; their order is in plan.ts.

/** Reloads of a good version that keeps failing at run time, before the one before it serves instead. */
const MAX_FAILURES_OF_GOOD = 3;

/** Pause after a start of the agent before what took it down is loaded again. */
const CRASH_PAUSE = minutes(5);

/** A version that was loaded to be installed is ready: switch to it. */
export const finishSwitchRule: Rule = (snapshot, { complete }) => {
  const { model, desired, serving } = snapshot;
  for (const facts of [factsOf(snapshot, desired?.version), toRestore(snapshot, complete)]) {
    if (facts === undefined || !isAvailable(facts)) continue;
    const { install, version } = facts.record;
    // One that stood beside the serving version is loaded already: the switch costs nothing more.
    const ready = install === 'starting' || install === 'staged' || (install === 'good' && serving?.serving !== version);
    if (!ready) continue;
    // The hub may want the old version before the device itself is back at it: what was given up is still what it goes back from.
    const serves = factsOf(snapshot, serving?.serving)?.record;
    const goesBack = install === 'good' && serves?.install === 'bad';
    return goesBack ? { kind: 'rollBack', model, version, from: serves.version } : { kind: 'switch', model, version };
  }
  return undefined;
};

/** The hub no longer wants the model here. */
export const withdrawRule: Rule = ({ model, desired, serving }, { device }) =>
  device.desiredKnown && desired === undefined && serving !== undefined ? { kind: 'withdraw', model } : undefined;

/**
 * A version that took the process down too often is not loaded again. One that was good, or is the last that can answer, is kept until
 * another can: it is loaded again after a pause (R2).
 */
export const quarantineRule: Rule = (snapshot, { device, complete }) => {
  const { model, serving, desired } = snapshot;
  const serves = factsOf(snapshot, serving?.serving);
  const last = mainstay(snapshot, complete);
  const able = [selfServing(snapshot, complete), ...fallbacks(snapshot, complete)].filter((facts) => facts !== undefined);
  const isCrashed = (facts: VersionFacts | undefined): facts is VersionFacts => {
    if (facts === undefined || isLive(facts)) return false;
    const isKept = facts === last || facts.record.install === 'good';
    if (isKept && able.every((other) => other === facts)) return false;
    if (facts === serves && maySelfServe(facts)) return isOverBoots(facts, device);
    return ['staged', 'starting', 'good'].includes(facts.record.install) && facts.record.boots >= device.maxBoots;
  };
  const crashed = [serves, factsOf(snapshot, desired?.version), factsOf(snapshot, desired?.candidate?.version)].find(isCrashed);
  if (crashed === undefined) return undefined;
  const { version, boots } = crashed.record;
  const message = `${model} ${version}: the agent ended ${boots} times while it was starting or on probation`;
  return { kind: 'markBad', model, version, error: { code: 'MODELS_CRASHED', message } };
};

/** The version that should serve cannot: load the best good version, then roll back to it. */
export const fallBackRule: Rule = (snapshot, { device, complete }) => {
  const { model, serving } = snapshot;
  if (serving === undefined) return undefined;
  if (selfServing(snapshot, complete) !== undefined) return undefined;
  const best = soonest(fallbacks(snapshot, complete), snapshot, device.now);
  if (best !== undefined) {
    const { version } = best.record;
    const serves = factsOf(snapshot, serving.serving);
    // It answers already; that the other is given up is written down before that this one serves.
    if (isLive(best) && snapshot.routed === version && maySelfServe(serves) && isComplete(serves, complete)) return undefined;
    if (isAvailable(best)) return { kind: 'rollBack', model, version, from: serving.serving };
    return isLive(best) ? undefined : loadToServe(best);
  }
  const serves = factsOf(snapshot, serving.serving);
  const hopeless = serves === undefined || serves.record.install === 'bad';
  return hopeless && toRestore(snapshot, complete) === undefined ? { kind: 'withdraw', model } : undefined;
};

/** The first that need not wait after a load that failed; when all wait, the one that waits least: the model has no answer meanwhile. */
function soonest(versions: readonly VersionFacts[], { held }: ModelSnapshot, now: Millis): VersionFacts | undefined {
  const waits = (facts: VersionFacts): Millis => {
    const until = isLive(facts) ? now : (heldUntil(held, loadToServe(facts)) ?? now);
    return Math.max(until, now);
  };
  return versions.toSorted((a, b) => waits(a) - waits(b))[0];
}

function loadToServe({ record: { model, version } }: VersionFacts): Step<'load'> {
  return { kind: 'load', model, version, purpose: 'serve' };
}

/** What serves is loaded; after a run-time failure it is loaded again, or given up where another version can answer (R2). */
export const serveRule: Rule = (snapshot, { device, complete }) => {
  const { model, serving } = snapshot;
  const serves = factsOf(snapshot, serving?.serving);
  if (!maySelfServe(serves) || isLive(serves) || !isComplete(serves, complete)) return undefined;
  const { version, install } = serves.record;
  const failsAgain = install === 'probation' || serves.failures > MAX_FAILURES_OF_GOOD;
  const givenUp = failsAgain && fallbacks(snapshot, complete).length > 0;
  if (serves.servable?.state === 'failed' && givenUp) {
    const error = serves.servable.error ?? { code: 'MODELS_SERVABLE_FAILED', message: `${model} ${version} stopped serving` };
    return { kind: 'markBad', model, version, error };
  }
  return device.now < loadsAt(serves, device) ? undefined : loadToServe(serves);
};

/** The version took the process down as often as its state allows. */
function isOverBoots({ record }: VersionFacts, device: DeviceSnapshot): boolean {
  return record.boots >= (record.install === 'good' ? MAX_BOOTS_OF_GOOD : device.maxBoots);
}

/**
 * When a version may be loaded, monotonic. The only one there is that took the process down again and again waits after each
 * start of the agent, so that other models answer meanwhile and the hub can send another version. Where several were being loaded
 * when the process ended, one after the other is, the one that was there least often first: it is likely not the one.
 */
export function loadsAt(facts: VersionFacts, device: DeviceSnapshot): Millis {
  if (!isOverBoots(facts, device)) return device.startedAt;
  const suspects = device.models
    .flatMap((model) => factsOf(model, model.serving?.serving) ?? [])
    .filter((other) => isOverBoots(other, device) && !isLive(other))
    .map((other) => other.record)
    .toSorted((a, b) => a.boots - b.boots || (a.model < b.model ? -1 : 1));
  const turn = suspects.findIndex(({ model }) => model === facts.record.model);
  return device.startedAt + CRASH_PAUSE * Math.max(1, turn + 1);
}

/** When what should serve, or is to be restored, may be loaded; `undefined` when it is loaded, or need not wait. */
export function servesAt(snapshot: ModelSnapshot, { device, complete }: PlanContext): Millis | undefined {
  const serves = factsOf(snapshot, snapshot.serving?.serving);
  const next = maySelfServe(serves) ? serves : toRestore(snapshot, complete);
  return next === undefined || isLive(next) ? undefined : loadsAt(next, device);
}

export const routeRule: Rule = (snapshot) => {
  const { model, serving, routed } = snapshot;
  const serves = factsOf(snapshot, serving?.serving);
  if (serves === undefined || !isAvailable(serves) || routed === serves.record.version) return undefined;
  return maySelfServe(serves) ? { kind: 'route', model, version: serves.record.version } : undefined;
};

/** What neither serves nor is about to is drained and freed. */
export const unloadStrayRule: Rule = (snapshot, { complete }) => {
  const { model, serving, desired, routed } = snapshot;
  const restored = toRestore(snapshot, complete)?.record.version;
  const stray = snapshot.versions.find(({ record, servable }) => {
    if (servable === undefined || (servable.state !== 'available' && servable.state !== 'failed')) return false;
    // It answers although the serving record could not be written yet.
    if (serving !== undefined && record.version === routed) return false;
    if (record.version === serving?.serving) return !['starting', 'probation', 'good'].includes(record.install);
    const wanted = [desired?.version, desired?.candidate?.version, restored].includes(record.version);
    return !wanted || !['staged', 'starting', 'good'].includes(record.install);
  });
  return stray === undefined ? undefined : { kind: 'unload', model, version: stray.record.version };
};

/** Served long enough: good. A good one that came up again has its starts forgiven at once. */
export const proveRule: Rule = (snapshot, { device }) => {
  const { model, serving, servingSince } = snapshot;
  const serves = factsOf(snapshot, serving?.serving);
  if (serves === undefined || !isAvailable(serves) || servingSince === undefined) return undefined;
  const { install, boots, version } = serves.record;
  const stood = device.now >= servingSince + bakeOf(snapshot, device) && isRechecked(snapshot);
  const proved = (install === 'probation' && stood) || (install === 'good' && boots > 0);
  return proved ? { kind: 'markGood', model, version } : undefined;
};

/** Trials that ended without a verdict, and half-done versions the hub no longer wants. */
export const tidyRule: Rule = (snapshot, { device, complete }) => {
  const { model, serving, desired } = snapshot;
  const restored = toRestore(snapshot, complete)?.record.version;
  for (const { record } of snapshot.versions) {
    const { version, install } = record;
    if (version === serving?.serving) continue;
    if (install === 'probation') return { kind: 'supersede', model, version };
    if ([desired?.version, desired?.candidate?.version, restored].includes(version) || !device.desiredKnown) continue;
    if (install === 'starting') return { kind: 'supersede', model, version };
    if (install === 'wanted' || install === 'fetching' || install === 'verifying') return { kind: 'forget', model, version };
  }
  return undefined;
};
