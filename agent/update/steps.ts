import type { AgentManifest } from '#shared/bundle/agent-manifest.js';
import { lackingFeatures, requireFeatures } from '#shared/bundle/features.js';
import { AGENT_MODEL, type Digest, type VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import { requireAdmitted } from '#agent/models/steps/admission.js';
import { targetPieces } from '#agent/models/steps/fetch.js';
import type { BlobPlan } from '#agent/store/contract.js';
import type { Desk } from './desk.js';
import type { ReleaseRecord } from './records.js';
import { concludeTrial, leaveGood, newWatch, refuseTrial } from './decide/slot-changes.js';
import { SLOT_NAMES } from './slots.js';
import type { UpdateStep, UpdateStepKind } from './decide/update-plan.js';

type Handler<K extends UpdateStepKind> = (step: UpdateStep<K>, desk: Desk, signal: AbortSignal) => Promise<void>;

/** Starts of a release on trial before it is given up. */
const MAX_BOOTS = 3;
const EXECUTABLE_MODE = 0o755;
/** Times a complete release may find its file missing or damaged before it is given up. */
const MAX_LOSSES = 3;

const adopt: Handler<'adopt'> = async ({ verdict }, desk) => {
  const { records, slots, runs, deps } = desk;
  const { version, manifest, attempt, code, message } = verdict;
  const known = records.find(version);
  const told = known?.install === 'bad' && known.attempt === attempt && known.error?.code === code;
  const error = { code, message };
  if (!told) await records.put({ version, manifest, attempt, install: 'bad', handovers: 0, error });
  const to = runs === undefined ? {} : { version: runs };
  deps.events.emit({ kind: 'version.rolled-back', model: AGENT_MODEL, ...to, error, detail: { from: version } });
  await desk.writeSlots({ ...slots, refused: verdict.earlier ?? null });
};

/** What the launcher would have written, had the disk taken it. */
const giveUp: Handler<'giveUp'> = (_step, desk) => desk.writeSlots(leaveGood(desk.slots, desk.self));

const settle: Handler<'settle'> = async ({ version, manifest }, { records, desired }) => {
  const attempt = (desired?.version === version ? desired.attempt : records.find(version)?.attempt) ?? 0;
  await records.put({ version, manifest, attempt, install: 'good', handovers: 0 });
};

const accept: Handler<'accept'> = async ({ version, manifest, attempt }, desk) => {
  desk.losses = 0;
  await desk.records.put({ version, manifest, attempt, install: 'wanted', handovers: 0 });
};

/** Refreshes trust, checks the release against it, gets its manifest and reads it. The same checks as for a model's version. */
const fetchManifest: Handler<'fetchManifest'> = async ({ version }, desk, signal) => {
  const { records, deps, desired } = desk;
  if (desired?.version === version) requireFeatures(lackingFeatures(desired.requires), `what the hub wants of release ${version}`);
  if (recordOf(desk, version).install === 'wanted') await records.transition(version, 'begin');
  await deps.trust.refresh(); // Expired or withdrawn metadata stops updates here (DESIGN "Trust").
  const { manifest } = recordOf(desk, version);
  const target = await admitted(desk, version);
  const plan = { digest: manifest, length: target.length, pieces: targetPieces(target.length), reuse: [] };
  if (!(await deps.blobs.has(manifest))) await download(desk, 'target', plan, signal);
  await desk.manifest(version, manifest);
};

/** Gets the executable: what the running one and the slots have of it is copied, the rest is fetched. */
const fetchExecutable: Handler<'fetchExecutable'> = async ({ version }, desk, signal) => {
  const { digest, length, chunks } = await executableOf(desk, version);
  const { program, folder } = desk.deps;
  const running = program === undefined ? [] : [program.file];
  const plan: BlobPlan = {
    digest,
    length,
    pieces: chunks.map(([chunk, bytes]) => ({ digest: chunk, length: bytes })),
    reuse: [],
    reuseFiles: [...new Set([...running, ...SLOT_NAMES.map((slot) => folder.executable(slot))])],
  };
  await download(desk, 'artifact', plan, signal);
};

const place: Handler<'place'> = async ({ version, slot }, desk) => {
  const { records, deps, slots } = desk;
  if (recordOf(desk, version).install === 'fetching') await records.transition(version, 'fetched');
  await admitted(desk, version);
  const { digest } = await executableOf(desk, version);
  // A trial that never began may lie there; no start may find half of it.
  if (slots.trying !== null || slots.before !== null) await desk.writeSlots({ ...slots, before: null, trying: null });
  await deps.folder.prepare(slot);
  await deps.blobs.place(digest, deps.folder.executable(slot), EXECUTABLE_MODE);
  desk.lookAgain();
  await deps.blobs.delete(digest);
};

const stage: Handler<'stage'> = async ({ version }, desk) => {
  await admitted(desk, version);
  await desk.records.put({ ...recordOf(desk, version), install: 'staged' });
  desk.progress = undefined;
};

const lose: Handler<'lose'> = async ({ version }, desk) => {
  desk.losses += 1;
  if (desk.losses > MAX_LOSSES)
    throw new SkerryError('UPDATE_LOOP', `release ${version} lost its file ${desk.losses} times after it was complete`);
  await desk.records.transition(version, 'lost');
};

/** Written for the launcher, then counted in the records; only then is anything ended. A disk that takes nothing ends nothing. */
const handOver: Handler<'handOver'> = async ({ version, slot }, desk) => {
  const { records, deps } = desk;
  await admitted(desk, version);
  const { manifest, attempt } = recordOf(desk, version);
  const { release } = await desk.manifest(version, manifest);
  const { digest } = await executableOf(desk, version);
  const trying = {
    slot,
    version,
    manifest,
    digest,
    release,
    attempt: desk.desired?.version === version ? desk.desired.attempt : attempt,
    boots: 0,
    maxBoots: MAX_BOOTS,
    aliveSeconds: Math.max(1, Math.ceil(deps.settings.alive / 1_000)),
    wasOnline: deps.isOnline(),
    served: deps.models().flatMap(({ model, serving }) => (serving === null ? [] : [model])),
  };
  await desk.writeSlots({ ...desk.slots, before: null, trying });
  await records.transition(version, 'start');
  desk.leave({ to: release, reason: `release ${version} is tried` });
};

const markBad: Handler<'markBad'> = async ({ version, code, message }, desk) => {
  const { attempt, manifest } = recordOf(desk, version);
  desk.progress = undefined;
  const tried = desk.desired?.version === version ? desk.desired.attempt : attempt;
  await desk.records.transition(version, 'refuse', { attempt: tried, error: { code, message } });
  await dropCached(desk, version, manifest);
};

const beginTrial: Handler<'beginTrial'> = async ({ version }, { records, slots }) => {
  const { trying } = slots;
  if (trying === null) return;
  await records.put({ version, manifest: trying.manifest, attempt: trying.attempt, install: 'probation', handovers: 0 });
};

const forgive: Handler<'forgive'> = async (_step, desk) => {
  const { slots } = desk;
  if (slots.trying !== null) await desk.writeSlots({ ...slots, trying: { ...slots.trying, boots: 0 } });
};

/** The launcher's file first: if the power goes now, the next start runs this release as good and settles the rest. */
const conclude: Handler<'conclude'> = async ({ version }, desk) => {
  const { slots, deps, records } = desk;
  await desk.writeSlots(concludeTrial(slots, deps.program?.natives, MIGRATIONS.length));
  deps.program?.endAfter(0);
  await records.transition(version, 'proved');
  await desk.settleDown();
};

/** Where the disk takes no verdict the process ends all the same: the launcher then cannot count a start, and starts the good one. */
const goBack: Handler<'goBack'> = async ({ version, error }, desk) => {
  const { slots, records } = desk;
  const reason = error?.message ?? `release ${version} is no longer wanted`;
  try {
    if (error !== undefined) return await desk.writeSlots(refuseTrial(slots, error.code, error.message));
    await desk.writeSlots({ ...slots, trying: null });
    await records.transition(version, 'superseded');
  } finally {
    desk.leave({ to: slots.good?.release ?? slots.packaged, reason });
  }
};

const cancelTrial: Handler<'cancelTrial'> = async ({ version }, desk) => {
  await desk.writeSlots({ ...desk.slots, trying: null });
  const install = desk.records.find(version)?.install;
  if (install === 'starting' || install === 'probation') await desk.records.transition(version, 'superseded');
};

/** Once in each run that was counted: what ends it from now on is not held against the release. */
const prove: Handler<'prove'> = async ({ attempt }, desk) => {
  await desk.deps.isAlive();
  const { good } = desk.slots;
  if (good !== null) await desk.writeSlots({ ...desk.slots, good: { ...good, watch: newWatch(attempt, MIGRATIONS.length) } });
};

const dropBefore: Handler<'dropBefore'> = (_step, desk) => desk.writeSlots({ ...desk.slots, before: null });

const dropGood: Handler<'dropGood'> = (_step, desk) => desk.writeSlots({ ...desk.slots, good: null, before: null });

/** The packaged executable is what is good from now on; the next start knows the release no more. */
const withdraw: Handler<'withdraw'> = async ({ version }, desk) => {
  const { slots, deps } = desk;
  await desk.writeSlots({ ...slots, good: null, before: null });
  deps.events.emit({ kind: 'version.rolled-back', model: AGENT_MODEL, detail: { from: version } });
  desk.leave({ to: slots.packaged, reason: 'no release of the agent is wanted any more' });
};

const forget: Handler<'forget'> = async ({ version }, desk) => {
  const { manifest } = recordOf(desk, version);
  desk.progress = undefined;
  await dropCached(desk, version, manifest);
  await desk.records.remove(version);
};

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
export function execute<K extends UpdateStepKind>(step: UpdateStep<K>, desk: Desk, signal: AbortSignal): Promise<void> {
  const handler: Handler<K> = HANDLERS[step.kind];
  return handler(step, desk, signal);
}

function recordOf({ records }: Desk, version: VersionNumber): ReleaseRecord {
  const record = records.find(version);
  if (record === undefined) throw new SkerryError('INTERNAL', `release ${version} of the agent is not known here`);
  return record;
}

/** DESIGN R1: the checks a model's version goes through (agent/models/steps/admission.ts), on the release's own target path. */
function admitted(desk: Desk, version: VersionNumber): ReturnType<typeof requireAdmitted> {
  const { manifest } = recordOf(desk, version);
  return requireAdmitted({ trust: desk.deps.trust, minimums: desk.minimums }, { model: AGENT_MODEL, version, manifest });
}

async function executableOf(desk: Desk, version: VersionNumber): Promise<AgentManifest['artifacts'][number]> {
  const executable = desk.executableIn(await desk.manifest(version, recordOf(desk, version).manifest));
  if (executable === undefined) throw new SkerryError('UPDATE_NO_VARIANT', `release ${version} has no executable for this platform`);
  return executable;
}

async function download(desk: Desk, kind: 'target' | 'artifact', plan: BlobPlan, signal: AbortSignal): Promise<void> {
  const { blobs, fetcher } = desk.deps;
  const tell = (have: number): void => {
    if (kind === 'artifact') desk.tellProgress({ have, total: plan.length });
  };
  const blob = await blobs.open(plan);
  try {
    tell(blob.haveBytes);
    if (blob.missing().some((bits) => bits !== 0)) await fetcher.fetch(kind, plan.digest, blob, plan.pieces.length, tell, signal);
    await blob.finish();
  } finally {
    await blob.close();
  }
}

/** What the cache holds of a release that is not to be installed. */
async function dropCached(desk: Desk, version: VersionNumber, manifest: Digest): Promise<void> {
  const read = await desk.manifest(version, manifest).catch(() => undefined);
  const executable = read === undefined ? undefined : desk.executableIn(read);
  for (const digest of [executable?.digest, manifest]) if (digest !== undefined) await desk.deps.blobs.delete(digest);
}
