import type { Digest, VersionNumber } from '#shared/bundle/names.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import type { DesiredModel } from '#shared/trust/desired.js';
import { heldUntil, type HeldStep, type StepPlan } from '#agent/install/decide/install-step.js';
import type { ReleaseRecord } from '../records.js';
import { keepsEnding, newWatch } from './slot-changes.js';
import { type GoodRelease, type Runnable, type SlotName, type Slots, spareSlot, type Verdict } from '../slots.js';
import { judgeTrial, provenAt, type TrialFacts } from './trial.js';

/** What the manifest of the wanted release says. */
export interface ReleaseFacts {
  readonly release: string;
  readonly takesOverFrom: VersionNumber;
  /** Executable for this platform; `undefined` when there is none. */
  readonly executable: { readonly digest: Digest; readonly length: number } | undefined;
}

interface UpdateSnapshot {
  /** Monotonic, as `startedAt`. */
  readonly now: Millis;
  readonly startedAt: Millis;
  /** Why this agent cannot replace itself; `undefined` when it can. */
  readonly unable: string | undefined;
  readonly self: Runnable;
  readonly slots: Slots;
  readonly desired: Pick<DesiredModel, 'version' | 'manifest' | 'attempt'> | undefined;
  /** A desired state was accepted. One that names no release wants the packaged executable. */
  readonly desiredKnown: boolean;
  /** The packaged executable could not go on with the state that is here. */
  readonly noWayBack: boolean;
  readonly records: readonly ReleaseRecord[];
  /** Lowest release the publisher allows; 0 when not known. */
  readonly minimumVersion: number;
  /** Of the wanted release, once its manifest is here. */
  readonly facts: ReleaseFacts | undefined;
  /** The executable of the wanted release is complete in the cache. */
  readonly cached: boolean;
  /** It lies in the spare slot, with its digest. */
  readonly placed: boolean;
  /** Schema of the state this release works with. */
  readonly schema: number;
  /** How the release that runs is doing. */
  readonly run: Omit<TrialFacts, 'since'>;
  readonly held: readonly HeldStep[];
}

interface StepArguments {
  /** Put the launcher's verdict on a release into the records. */
  adopt: { readonly verdict: Verdict };
  /** The good release keeps ending and the launcher could not write down that it was left. */
  giveUp: { readonly version: VersionNumber };
  /** What the slots say of a release is what holds. */
  settle: { readonly version: VersionNumber; readonly manifest: Digest };
  accept: { readonly version: VersionNumber; readonly manifest: Digest; readonly attempt: number };
  fetchManifest: { readonly version: VersionNumber };
  fetchExecutable: { readonly version: VersionNumber };
  /** Check once more, then put the executable into the spare slot. */
  place: { readonly version: VersionNumber; readonly slot: SlotName };
  /** Complete and checked as it lies there. */
  stage: { readonly version: VersionNumber };
  /** Files of a release that was complete are missing. */
  lose: { readonly version: VersionNumber };
  /** Write down that the release is to be tried, then make room for it. */
  handOver: { readonly version: VersionNumber; readonly slot: SlotName };
  markBad: { readonly version: VersionNumber; readonly code: string; readonly message: string };
  /** First act of a release on trial. */
  beginTrial: { readonly version: VersionNumber };
  /** It ran for the bake time and waits for its network: what ends it now is not held against it. */
  forgive: { readonly version: VersionNumber };
  conclude: { readonly version: VersionNumber };
  /** End the trial and make room for the release before; with a verdict, or because another one is wanted now. */
  goBack: { readonly version: VersionNumber; readonly error?: { readonly code: string; readonly message: string } };
  /** A trial nobody wants any more never began. */
  cancelTrial: { readonly version: VersionNumber };
  /** The good release did well in this run: its starts count anew. */
  prove: { readonly version: VersionNumber; readonly attempt: number };
  /** The publisher allows the release before it no longer. */
  dropBefore: { readonly version: VersionNumber };
  /** The release in the good slot cannot be started: the packaged executable is what is good. */
  dropGood: { readonly version: VersionNumber };
  /** No release is wanted any more: make room for the packaged executable. */
  withdraw: { readonly version: VersionNumber };
  /** A release that never got as far as a slot is no longer wanted. */
  forget: { readonly version: VersionNumber };
}
export type UpdateStepKind = keyof StepArguments;
export type UpdateStep<K extends UpdateStepKind = UpdateStepKind> = { [P in K]: { readonly kind: P } & StepArguments[P] }[K];

export type UpdatePlan = StepPlan<UpdateStep>;

/** Times the process is handed over to a release without its start, before that is taken for a loop. */
const MAX_HANDOVERS = 5;

/** The next step of self-update. Pure: one row for each state, and every state a power cut can leave has its row. */
export function planUpdate(snapshot: UpdateSnapshot): UpdatePlan {
  const plan = isOnTrial(snapshot) ? planTrial(snapshot) : planBesideTrial(snapshot);
  const { step } = plan;
  const until = step === undefined ? undefined : heldUntil(snapshot.held, step);
  if (until === undefined || until <= snapshot.now) return plan;
  return { wakeAt: Math.min(until, plan.wakeAt ?? until) };
}

function isOnTrial({ slots, self }: UpdateSnapshot): boolean {
  return slots.trying !== null && slots.trying.slot === self;
}

/** The running release is the one on trial. */
function planTrial(snapshot: UpdateSnapshot): UpdatePlan {
  const { slots, desired, desiredKnown, records, run, now, startedAt } = snapshot;
  const { trying } = slots;
  if (trying === null) return {};
  const { version, manifest } = trying;
  const record = records.find((candidate) => candidate.version === version);
  if (record?.install !== 'probation') return { step: { kind: 'beginTrial', version } };
  if (desiredKnown && (desired?.version !== version || desired.manifest !== manifest)) return { step: { kind: 'goBack', version } };
  const verdict = judgeTrial(trying, { ...run, since: startedAt }, now);
  if (verdict.kind === 'good') return { step: { kind: 'conclude', version } };
  if (verdict.kind === 'back') return { step: { kind: 'goBack', version, error: { code: verdict.code, message: verdict.message } } };
  if (verdict.until !== undefined) return { wakeAt: verdict.until };
  return trying.boots > 0 ? { step: { kind: 'forgive', version } } : {};
}

/** The running release is the one that was good before any trial. Its proof waits for nothing else, and nothing else waits for it. */
function planBesideTrial(snapshot: UpdateSnapshot): UpdatePlan {
  const { slots, self, now, held } = snapshot;
  const { good } = slots;
  const step = good !== null && self === good.slot ? proofOf(good, snapshot) : undefined;
  if (step === undefined) return planSettled(snapshot);
  const at = Math.max(provenAt({ ...snapshot.run, since: snapshot.startedAt }), heldUntil(held, step) ?? now);
  if (at <= now) return { step };
  const plan = planSettled(snapshot);
  if (plan.step !== undefined) return plan;
  // Looked at again before: models that come to serve say nothing here.
  return { wakeAt: Math.min(at, now + snapshot.run.bake, plan.wakeAt ?? at) };
}

/** What the slots should say of a good release that has proven itself; `undefined` when they do. */
function proofOf({ version, watch }: GoodRelease, { desired, schema }: UpdateSnapshot): UpdateStep<'prove'> | undefined {
  const attempt = (desired?.version === version ? desired.attempt : watch?.attempt) ?? 0;
  const right = newWatch(attempt, schema);
  if (
    watch !== undefined &&
    watch.boots === 0 &&
    watch.attempt === attempt &&
    watch.schema === schema &&
    watch.maxBoots === right.maxBoots
  ) {
    return undefined;
  }
  return { kind: 'prove', version, attempt };
}

function planSettled(snapshot: UpdateSnapshot): UpdatePlan {
  const { slots, self, records, desired } = snapshot;
  const { refused, good, before, trying } = slots;
  if (refused !== null) return { step: { kind: 'adopt', verdict: refused } };
  const isLeft = good !== null && self !== good.slot && keepsEnding(good);
  if (isLeft && snapshot.unable === undefined) return { step: { kind: 'giveUp', version: good.version } };
  // R1: below the minimum nothing is run again, not even to go back to.
  if (before !== null && before.version < snapshot.minimumVersion) return { step: { kind: 'dropBefore', version: before.version } };
  if (good !== null && self === 'packaged' && snapshot.unable === undefined) return { step: { kind: 'dropGood', version: good.version } };
  const runs = good !== null && self === good.slot ? good : undefined;
  const settled = runs === undefined ? undefined : records.find(({ version }) => version === runs.version);
  if (runs !== undefined && (settled?.install !== 'good' || settled.manifest !== runs.manifest)) {
    return { step: { kind: 'settle', version: runs.version, manifest: runs.manifest } };
  }
  if (trying !== null && (desired?.version !== trying.version || desired.manifest !== trying.manifest)) {
    return { step: { kind: 'cancelTrial', version: trying.version } };
  }
  const stray = records.find(({ version, install }) => version !== desired?.version && version !== runs?.version && install !== 'bad');
  if (stray !== undefined) return { step: { kind: 'forget', version: stray.version } };
  if (desired === undefined) {
    return runs === undefined || !snapshot.desiredKnown || snapshot.noWayBack ? {} : { step: { kind: 'withdraw', version: runs.version } };
  }
  if (runs?.version === desired.version && runs.manifest === desired.manifest) return {};
  return planWanted(snapshot, desired, runs?.version ?? 1);
}

function planWanted(snapshot: UpdateSnapshot, desired: NonNullable<UpdateSnapshot['desired']>, runs: number): UpdatePlan {
  const { records, minimumVersion, unable, slots, facts, placed } = snapshot;
  const { version, manifest, attempt } = desired;
  const record = records.find((candidate) => candidate.version === version);
  const accept: UpdatePlan = { step: { kind: 'accept', version, manifest, attempt } };
  if (record === undefined || record.manifest !== manifest) return accept;
  const markBad = (code: string, message: string): UpdatePlan => ({ step: { kind: 'markBad', version, code, message } });
  if (record.install === 'bad') {
    const nowAble = record.error?.code === 'UPDATE_UNSUPPORTED' && unable === undefined;
    return record.attempt !== attempt || nowAble ? accept : {};
  }
  if (unable !== undefined) return markBad('UPDATE_UNSUPPORTED', unable);
  if (version < minimumVersion) {
    return markBad('MODELS_BELOW_MINIMUM', `release ${version} is below ${minimumVersion}, the lowest its publisher allows`);
  }
  if (facts === undefined || record.install === 'wanted') return { step: { kind: 'fetchManifest', version } };
  if (facts.executable === undefined) return markBad('UPDATE_NO_VARIANT', `release ${facts.release} has no executable for this platform`);
  if (facts.takesOverFrom > runs) {
    return markBad(
      'UPDATE_CANNOT_TAKE_OVER',
      `release ${facts.release} needs at least release ${facts.takesOverFrom} to take over from; this device runs ${runs}`,
    );
  }
  if (placed) return planStart(snapshot, record);
  // It was complete, and what is on the disk says otherwise.
  if (record.install !== 'fetching' && record.install !== 'verifying') return { step: { kind: 'lose', version } };
  return { step: snapshot.cached ? { kind: 'place', version, slot: spareSlot(slots) } : { kind: 'fetchExecutable', version } };
}

/** It lies where it can be started from. */
function planStart({ slots, startedAt, now }: UpdateSnapshot, { version, install, handovers }: ReleaseRecord): UpdatePlan {
  if (install !== 'staged' && install !== 'starting' && install !== 'probation') return { step: { kind: 'stage', version } };
  if (handovers >= MAX_HANDOVERS) {
    const message = `the process was handed over to release ${version} ${handovers} times, and it never started`;
    return { step: { kind: 'markBad', version, code: 'UPDATE_NO_PROGRESS', message } };
  }
  // The launcher came back without starting it (it could not count, on a full disk): ever more rarely.
  const at = slots.trying === null ? now : startedAt + handovers * minutes(1);
  return now < at ? { wakeAt: at } : { step: { kind: 'handOver', version, slot: spareSlot(slots) } };
}
