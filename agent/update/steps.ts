import type { AgentManifest } from '#shared/bundle/agent-manifest.js';
import { lackingFeatures, requireFeatures } from '#shared/bundle/features.js';
import { AGENT_MODEL, type Digest, type VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import type { StepError } from '#agent/install/decide/install-step.js';
import { requireAdmitted } from '#agent/install/admission.js';
import type { BlobPlan } from '#agent/store/contract.js';
import type { UpdateContext } from './update-context.js';
import { concludeTrial, leaveGood, newWatch, refuseTrial } from './decide/slot-changes.js';
import { SLOT_NAMES } from './slots.js';
import type { UpdateStep, UpdateStepKind } from './decide/update-plan.js';

type Handler<K extends UpdateStepKind> = (step: UpdateStep<K>, context: UpdateContext, signal: AbortSignal) => Promise<void>;

/** Starts of a release on trial before it is given up. */
const MAX_BOOTS = 3;
const EXECUTABLE_MODE = 0o755;

const adopt: Handler<'adopt'> = async ({ verdict }, context) => {
  const { records, slots, runs, deps } = context;
  const { version, manifest, attempt, code, message } = verdict;
  const known = records.find(version);
  const isKnown = known?.install === 'bad' && known.attempt === attempt && known.error?.code === code;
  const error = { code, message };
  if (!isKnown) await records.put({ version, manifest, attempt, install: 'bad', handovers: 0, error });
  const to = runs === undefined ? {} : { version: runs };
  deps.events.emit({ kind: 'version.rolled-back', model: AGENT_MODEL, ...to, error, detail: { from: version } });
  await context.writeSlots({ ...slots, refused: verdict.earlier ?? null });
};

/** What the launcher would have written, had the disk taken it. */
const giveUp: Handler<'giveUp'> = (_step, context) => context.writeSlots(leaveGood(context.slots, context.self));

const settle: Handler<'settle'> = async ({ version, manifest }, context) => {
  const attempt = context.attemptOf(version, context.records.find(version)?.attempt ?? 0);
  await context.records.put({ version, manifest, attempt, install: 'good', handovers: 0 });
};

const accept: Handler<'accept'> = async ({ version, manifest, attempt }, context) => {
  context.losses.forget(AGENT_MODEL, version);
  await context.records.put({ version, manifest, attempt, install: 'wanted', handovers: 0 });
};

/** Refreshes the metadata, checks the release against it, gets its manifest and reads it. The same checks as for a model's version. */
const fetchManifest: Handler<'fetchManifest'> = async ({ version }, context, signal) => {
  const { records, desired } = context;
  if (desired?.version === version) requireFeatures(lackingFeatures(desired.requires), `what the hub wants of release ${version}`);
  if (records.get(version).install === 'wanted') await records.transition(version, 'begin');
  const { manifest } = records.get(version);
  await context.downloads.manifest({ model: AGENT_MODEL, version, manifest }, context.admission, signal);
  await context.manifests.read(version, manifest);
};

/** Gets the executable: what the running one and the slots have of it is copied, the rest is fetched. */
const fetchExecutable: Handler<'fetchExecutable'> = async ({ version }, context, signal) => {
  const { digest, length, chunks } = await executableOf(context, version);
  const { program, folder } = context.deps;
  const running = program === undefined ? [] : [program.file];
  const plan: BlobPlan = {
    digest,
    length,
    pieces: chunks.map(([chunk, bytes]) => ({ digest: chunk, length: bytes })),
    reuse: [],
    reuseFiles: [...new Set([...running, ...SLOT_NAMES.map((slot) => folder.executable(slot))])],
  };
  await context.downloads.file('artifact', plan, signal, (have) => context.setProgress({ have, total: length }));
};

const place: Handler<'place'> = async ({ version, slot }, context) => {
  const { records, deps, slots } = context;
  if (context.records.get(version).install === 'fetching') await records.transition(version, 'fetched');
  await admitted(context, version);
  const { digest } = await executableOf(context, version);
  // A trial that never began may lie there; no start may find half of it.
  if (slots.trying !== null || slots.before !== null) await context.writeSlots({ ...slots, before: null, trying: null });
  await deps.folder.prepare(slot);
  await deps.blobs.place(digest, deps.folder.executable(slot), EXECUTABLE_MODE);
  context.forgetPlaced();
  await deps.blobs.delete(digest);
};

const stage: Handler<'stage'> = async ({ version }, context) => {
  await admitted(context, version);
  await context.records.put({ ...context.records.get(version), install: 'staged' });
  context.progress = undefined;
};

const lose: Handler<'lose'> = async ({ version }, { losses, records }) => {
  losses.add(AGENT_MODEL, version);
  await records.transition(version, 'lost');
};

/** Written for the launcher, then counted in the records; only then is anything ended. A disk that takes nothing ends nothing. */
const handOver: Handler<'handOver'> = async ({ version, slot }, context) => {
  const { records, deps } = context;
  await admitted(context, version);
  const { manifest, attempt } = context.records.get(version);
  const { release } = await context.manifests.read(version, manifest);
  const { digest } = await executableOf(context, version);
  const trying = {
    slot,
    version,
    manifest,
    digest,
    release,
    attempt: context.attemptOf(version, attempt),
    boots: 0,
    maxBoots: MAX_BOOTS,
    aliveSeconds: Math.max(1, Math.ceil(deps.settings.alive / 1_000)),
    wasOnline: deps.isOnline(),
    served: deps.models().flatMap(({ model, serving }) => (serving === null ? [] : [model])),
  };
  await context.writeSlots({ ...context.slots, before: null, trying });
  await records.transition(version, 'start');
  context.leave({ to: release, reason: `release ${version} is tried` });
};

const markBad: Handler<'markBad'> = ({ version, code, message }, context) => markReleaseBad(context, version, { code, message });

const beginTrial: Handler<'beginTrial'> = async ({ version }, { records, slots }) => {
  const { trying } = slots;
  if (trying === null) return;
  await records.put({ version, manifest: trying.manifest, attempt: trying.attempt, install: 'probation', handovers: 0 });
};

const forgive: Handler<'forgive'> = async (_step, context) => {
  const { slots } = context;
  if (slots.trying !== null) await context.writeSlots({ ...slots, trying: { ...slots.trying, boots: 0 } });
};

/** The launcher's file first: if the power goes now, the next start runs this release as good and settles the rest. */
const conclude: Handler<'conclude'> = async ({ version }, context) => {
  const { slots, deps, records } = context;
  await context.writeSlots(concludeTrial(slots, deps.program?.natives, MIGRATIONS.length));
  deps.program?.endAfter(0);
  await records.transition(version, 'proved');
  await context.settleDown();
};

/** Where the disk takes no verdict the process ends all the same: the launcher then cannot count a start, and starts the good one. */
const goBack: Handler<'goBack'> = async ({ version, error }, context) => {
  const { slots, records } = context;
  const reason = error?.message ?? `release ${version} is no longer wanted`;
  try {
    if (error !== undefined) return await context.writeSlots(refuseTrial(slots, error.code, error.message));
    await context.writeSlots({ ...slots, trying: null });
    await records.transition(version, 'superseded');
  } finally {
    context.leave({ to: slots.good?.release ?? slots.packaged, reason });
  }
};

const cancelTrial: Handler<'cancelTrial'> = async ({ version }, context) => {
  await context.writeSlots({ ...context.slots, trying: null });
  const install = context.records.find(version)?.install;
  if (install === 'starting' || install === 'probation') await context.records.transition(version, 'superseded');
};

/** Once in each run that was counted: what ends it from now on is not held against the release. */
const prove: Handler<'prove'> = async ({ attempt }, context) => {
  await context.deps.isAlive();
  const { good } = context.slots;
  if (good !== null) await context.writeSlots({ ...context.slots, good: { ...good, watch: newWatch(attempt, MIGRATIONS.length) } });
};

const dropBefore: Handler<'dropBefore'> = (_step, context) => context.writeSlots({ ...context.slots, before: null });

const dropGood: Handler<'dropGood'> = (_step, context) => context.writeSlots({ ...context.slots, good: null, before: null });

/** The packaged executable is what is good from now on; the next start knows the release no more. */
const withdraw: Handler<'withdraw'> = async ({ version }, context) => {
  const { slots, deps } = context;
  await context.writeSlots({ ...slots, good: null, before: null });
  deps.events.emit({ kind: 'version.rolled-back', model: AGENT_MODEL, detail: { from: version } });
  context.leave({ to: slots.packaged, reason: 'no release of the agent is wanted any more' });
};

const forget: Handler<'forget'> = async ({ version }, context) => {
  const { manifest } = context.records.get(version);
  context.progress = undefined;
  await dropCached(context, version, manifest);
  await context.records.remove(version);
};

/** Marks a release bad, under the attempt the hub asked for it last. */
export async function markReleaseBad(context: UpdateContext, version: VersionNumber, error: StepError): Promise<void> {
  const { attempt, manifest } = context.records.get(version);
  context.progress = undefined;
  await context.records.transition(version, 'refuse', { attempt: context.attemptOf(version, attempt), error });
  await dropCached(context, version, manifest);
}

/** How each step is done; a new kind of step does not compile until it stands here. */
const HANDLERS: { readonly [K in UpdateStepKind]: Handler<K> } = {
  adopt,
  giveUp,
  settle,
  accept,
  fetchManifest,
  fetchExecutable,
  place,
  stage,
  lose,
  handOver,
  markBad,
  beginTrial,
  forgive,
  conclude,
  goBack,
  cancelTrial,
  prove,
  dropBefore,
  dropGood,
  withdraw,
  forget,
};

/** Does one step; resolves when what it promises is true, rejects with the reason. */
export function execute<K extends UpdateStepKind>(step: UpdateStep<K>, context: UpdateContext, signal: AbortSignal): Promise<void> {
  const handler: Handler<K> = HANDLERS[step.kind];
  return handler(step, context, signal);
}

/** R1: the same checks as for a model's version, on the release's own target path. */
function admitted(context: UpdateContext, version: VersionNumber): ReturnType<typeof requireAdmitted> {
  const { manifest } = context.records.get(version);
  return requireAdmitted(context.admission, { model: AGENT_MODEL, version, manifest });
}

async function executableOf(context: UpdateContext, version: VersionNumber): Promise<AgentManifest['artifacts'][number]> {
  const executable = await context.manifests.executable(version, context.records.get(version).manifest);
  if (executable === undefined) throw new SkerryError('UPDATE_NO_VARIANT', `release ${version} has no executable for this platform`);
  return executable;
}

/** What the cache holds of a release that is not to be installed. */
async function dropCached(context: UpdateContext, version: VersionNumber, manifest: Digest): Promise<void> {
  const executable = await context.manifests.executable(version, manifest).catch(() => undefined);
  for (const digest of [executable?.digest, manifest]) if (digest !== undefined) await context.deps.blobs.delete(digest);
}
