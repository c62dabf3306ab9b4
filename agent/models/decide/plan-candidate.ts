import type { TrafficPolicy } from '#agent/inference/contract.js';
import type { DesiredCandidate } from '#shared/protocol/desired-rollout.js';
import { factsOf, isAvailable, isComplete, isLive } from './facts.js';
import { nextInstallStep, type Start } from './plan-install.js';
import type { Rule } from './rule.js';
import type { ModelSnapshot } from './snapshot.js';
import type { Step } from './step.js';

// Rules for a version beside the one that serves. Each is pure and stands alone; their order is in plan.ts.

/** Fetches, checks and loads the candidate once the model's own version is where it should be. */
export const candidateRule: Rule = (snapshot, context) => {
  const candidate = candidateOf(snapshot);
  if (candidate === undefined || !isSettled(snapshot)) return undefined;
  return nextInstallStep(snapshot, candidate, context, startBeside);
};

/** A candidate that stood for the bake time took nothing down: its attempts are forgiven. */
export const settleRule: Rule = (snapshot, { device }) => {
  const facts = factsOf(snapshot, candidateOf(snapshot)?.version);
  const since = facts?.servable?.since;
  if (facts === undefined || !isAvailable(facts) || since === undefined || device.now < since + device.bake) return undefined;
  const { version, install, boots } = facts.record;
  return install === 'starting' || (install === 'good' && boots > 0) ? { kind: 'settle', model: snapshot.model, version } : undefined;
};

/** Requests are shared as the hub wants while both versions can answer, and otherwise not at all. */
export const trafficRule: Rule = (snapshot) => {
  const { model, traffic } = snapshot;
  const policy = policyOf(snapshot);
  const version = (policy ?? traffic)?.candidate;
  return version === undefined || isSame(policy, traffic) ? undefined : { kind: 'direct', model, version, policy };
};

/** When a candidate that just came up will have stood long enough, monotonic. */
export function settlesAt(snapshot: ModelSnapshot, bake: number): number | undefined {
  const facts = factsOf(snapshot, candidateOf(snapshot)?.version);
  if (facts?.servable?.since === undefined || facts.record.boots === 0) return undefined;
  return facts.servable.since + bake;
}

/** Never the version that serves: promoted, it is a candidate no longer. */
function candidateOf({ desired, serving }: ModelSnapshot): DesiredCandidate | undefined {
  const candidate = desired?.candidate;
  return candidate === undefined || candidate.version === desired?.version || candidate.version === serving?.serving
    ? undefined
    : candidate;
}

/** The model's own version serves, or is given up and another one does. */
function isSettled(snapshot: ModelSnapshot): boolean {
  const { desired, serving, routed } = snapshot;
  if (serving === undefined || routed !== serving.serving) return false;
  return serving.serving === desired?.version || factsOf(snapshot, desired?.version)?.record.install === 'bad';
}

/** Both have to fit: the one that serves is never put away for a candidate. */
const startBeside: Start = (snapshot, facts, { device, complete }): Step | undefined => {
  const { model } = snapshot;
  const { version } = facts.record;
  if (isLive(facts)) return undefined;
  if (!isComplete(facts, complete)) return { kind: 'fetchManifest', model, version };
  if (facts.servable?.state === 'failed') {
    const error = facts.servable.error ?? {
      code: 'MODELS_SERVABLE_FAILED',
      message: `${model} ${version} failed beside the serving version`,
    };
    return { kind: 'markBad', model, version, error };
  }
  // Only what the manifest declares: how much the process grew while another version loaded is falsified by whatever else it did then.
  const needed = facts.manifest?.loadBytes ?? 0;
  if (needed > device.freeMemoryBytes) {
    const message = `${model} ${version} needs about ${needed} bytes of memory beside the serving version, ${device.freeMemoryBytes} are free`;
    return { kind: 'markBad', model, version, error: { code: 'MODELS_NOT_ENOUGH_MEMORY', message } };
  }
  return { kind: 'load', model, version, purpose: 'install' };
};

function policyOf(snapshot: ModelSnapshot): TrafficPolicy | undefined {
  const candidate = candidateOf(snapshot);
  if (candidate === undefined || candidate.action === 'stage' || !isSettled(snapshot)) return undefined;
  const facts = factsOf(snapshot, candidate.version);
  if (facts === undefined || !isAvailable(facts) || facts.record.install === 'bad') return undefined;
  const { version, action, share, sticky, salt } = candidate;
  return { candidate: version, action, share, sticky, salt };
}

function isSame(a: TrafficPolicy | undefined, b: TrafficPolicy | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.candidate === b.candidate && a.action === b.action && a.share === b.share && a.sticky === b.sticky && a.salt === b.salt;
}
