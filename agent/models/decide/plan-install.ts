import { lackingFeatures } from '#shared/bundle/features.js';
import type { InstallState } from '#shared/protocol/messages.js';
import type { DesiredModel } from '#shared/trust/desired.js';
import { isComplete, isLive, missingArtifacts, toRestore } from './facts.js';
import { loadsAt } from './plan-serve.js';
import type { PlanContext, Rule } from './rule.js';
import type { ModelSnapshot, VersionFacts } from './snapshot.js';
import type { Step } from './step.js';

/** The next step of a version whose files are here. */
export type Start = (snapshot: ModelSnapshot, facts: VersionFacts, context: PlanContext) => Step | undefined;

/** The next step towards serving the wanted version. An agent that cannot understand the wish keeps what it has. */
export const installRule: Rule = (snapshot, context) => {
  const { desired, model } = snapshot;
  if (desired === undefined) return undefined;
  const step = nextInstallStep(snapshot, desired, context, start);
  const features = lackingFeatures(desired.requires);
  if (features.length === 0 || step === undefined || step.kind === 'accept' || step.kind === 'markBad') return step;
  return { kind: 'lack', model, version: desired.version, features };
};

/** The next step towards serving a version that lost its files, where no other version of the model can answer (R2). */
export const restoreRule: Rule = (snapshot, context) => {
  const lost = toRestore(snapshot, context.complete)?.record;
  if (lost === undefined || lost.version === snapshot.desired?.version) return undefined;
  return nextInstallStep(snapshot, lost, context, start);
};

/** The next step towards running a version: one row for each install state, so every state resumes. */
export function nextInstallStep(
  snapshot: ModelSnapshot,
  wanted: Pick<DesiredModel, 'version' | 'manifest' | 'attempt'>,
  context: PlanContext,
  whenComplete: Start,
): Step | undefined {
  const { model } = snapshot;
  const { version, manifest, attempt } = wanted;
  const facts = snapshot.versions.find(({ record }) => record.version === version);
  const accept: Step = { kind: 'accept', model, version, manifest, attempt };
  if (facts === undefined) return accept;
  if (facts.record.manifest !== manifest) return otherContent(snapshot, facts, accept);
  if (facts.record.install === 'bad') return facts.record.attempt === attempt ? undefined : accept;
  if (version < snapshot.minimumVersion && snapshot.serving?.serving !== version) {
    const message = `${model} ${version} is below ${snapshot.minimumVersion}, the lowest version its publisher allows`;
    return { kind: 'markBad', model, version, error: { code: 'MODELS_BELOW_MINIMUM', message } };
  }
  return ROWS[facts.record.install](snapshot, facts, context, whenComplete);
}

/** The way of a version, state by state. */
const ROWS: Readonly<Record<InstallState, (...args: [...Parameters<Start>, whenComplete: Start]) => Step | undefined>> = {
  wanted: ({ model }, { record }) => ({ kind: 'fetchManifest', model, version: record.version }),
  fetching: fetchNext,
  verifying: ({ model }, facts, { complete }) => {
    const { version } = facts.record;
    return isComplete(facts, complete) ? { kind: 'verify', model, version } : { kind: 'fetchManifest', model, version };
  },
  staged: startComplete,
  starting: startComplete,
  probation: startComplete,
  good: startComplete,
  bad: () => undefined,
};

function fetchNext({ model }: ModelSnapshot, facts: VersionFacts, { complete, space }: PlanContext): Step | undefined {
  const { version, manifest: digest } = facts.record;
  const markBad = (code: string, message: string): Step => ({ kind: 'markBad', model, version, error: { code, message } });
  if (facts.manifest === undefined || !complete.has(digest)) return { kind: 'fetchManifest', model, version };
  if (!facts.manifest.usable) return markBad('MODELS_NO_USABLE_VARIANT', `no variant of ${model} ${version} can run on this device`);
  const [next] = missingArtifacts(facts, complete);
  if (next === undefined) return { kind: 'verify', model, version };
  const room = space.roomFor(model);
  if (room.kind === 'never') {
    return markBad('MODELS_OVER_BUDGET', `${model} ${version} needs ${room.neededBytes} bytes more than the disk budget can give`);
  }
  return room.kind === 'now' ? { kind: 'fetchArtifact', model, version, digest: next.digest } : undefined;
}

function startComplete(snapshot: ModelSnapshot, facts: VersionFacts, context: PlanContext, whenComplete: Start): Step | undefined {
  return whenComplete(snapshot, facts, context);
}

function start(snapshot: ModelSnapshot, facts: VersionFacts, { device, complete }: PlanContext): Step | undefined {
  const { model, serving } = snapshot;
  const { version, install } = facts.record;
  if (isLive(facts)) return undefined;
  if (!isComplete(facts, complete)) return { kind: 'fetchManifest', model, version };
  if ((install === 'good' || install === 'probation') && serving?.serving === version) return undefined;
  if (facts.servable?.state === 'failed' && facts !== toRestore(snapshot, complete)) {
    const error = facts.servable.error ?? { code: 'MODELS_SERVABLE_FAILED', message: `${model} ${version} failed while starting` };
    return { kind: 'markBad', model, version, error };
  }
  if (device.now < loadsAt(facts, device)) return undefined;
  const load = { kind: 'load', model, version, purpose: 'install' } as const;
  const old = snapshot.versions.find(({ record }) => record.version === serving?.serving);
  const short = (facts.manifest?.loadBytes ?? 0) > device.freeMemoryBytes;
  // Resource-preserving: where both do not fit, the old one makes room and comes back if the new one does not come up.
  return short && old !== undefined && isLive(old) ? { ...load, replaces: old.record.version } : load;
}

/** The number is taken here: an installed version never changes its content, one that never got anywhere may be replaced. */
function otherContent(snapshot: ModelSnapshot, facts: VersionFacts, accept: Extract<Step, { kind: 'accept' }>): Step | undefined {
  const { install } = facts.record;
  if (install === 'wanted' || install === 'fetching' || install === 'verifying' || install === 'bad') return accept;
  const { model, version, manifest } = accept;
  if (snapshot.refusedManifest === manifest) return undefined;
  const message = `${model} ${version} is installed with manifest ${facts.record.manifest}, the hub now asks for ${manifest}`;
  return { kind: 'refuse', model, version, manifest, error: { code: 'MODELS_VERSION_CHANGED', message } };
}
