import type { Digest, ModelName } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { narrowing } from '#shared/tensor/narrowing.js';
import type { DesiredModel, DesiredState } from '#shared/trust/desired.js';
import type { BlobStore, VersionRecord } from '#agent/store/contract.js';
import { guardLimits, isTripped, type TrialFigures } from './guard.js';
import type { HeldStep } from './snapshot.js';
import type { Ledger } from './ledger.js';
import type { Manifests } from './manifests.js';
import type { BehaviourSource } from './ports.js';
import type { RuntimeBoard } from './runtime-board.js';
import type { DeviceSnapshot, ManifestFacts, ModelSnapshot, VersionFacts } from './snapshot.js';
import type { Trials } from './trials.js';
import type { Machine } from './variants.js';

export interface SurveySources {
  readonly ledger: Ledger;
  readonly board: RuntimeBoard;
  readonly manifests: Manifests;
  readonly blobs: BlobStore;
  readonly machine: Machine;
  readonly trials: Trials;
  readonly behaviour: BehaviourSource | undefined;
  readonly clock: Clock;
  readonly minimums: ReadonlyMap<string, number>;
  readonly refusedManifests: ReadonlyMap<string, Digest>;
  readonly settings: { readonly bake: number; readonly maxBoots: number };
  /** Monotonic. */
  readonly startedAt: number;
  desired(): DesiredState | undefined;
  held(model: ModelName): readonly HeldStep[];
  diskFull(): boolean;
  /** What else uses the cache. */
  foreign?: (() => Promise<ReadonlySet<Digest>>) | undefined;
}

/** Gathers what is true now. What has to be waited for comes first, so the rest is of one moment. */
export async function survey(sources: SurveySources): Promise<DeviceSnapshot> {
  const { ledger, manifests, blobs, machine, clock, settings } = sources;
  const [entries, usage, foreign] = await Promise.all([blobs.list(), blobs.usage(), sources.foreign?.()]);
  const complete = new Set(entries.filter((blob) => blob.complete).map((blob) => blob.digest));
  const facts = new Map<Digest, ManifestFacts>();
  for (const { manifest } of [...ledger.models()].flatMap((model) => ledger.versions(model))) {
    const found = complete.has(manifest) ? await manifests.facts(manifest) : undefined;
    if (found !== undefined) facts.set(manifest, found);
  }
  manifests.keepOnly(new Set(facts.keys()));
  const desired = sources.desired();
  const models = new Set<ModelName>([...ledger.models(), ...(desired?.models.map(({ model }) => model) ?? [])]);
  return {
    now: clock.monotonic(),
    desiredKnown: desired !== undefined,
    models: [...models].map((model) => surveyModel(sources, model, facts)),
    blobs: entries,
    budgetBytes: usage.budgetBytes,
    diskFull: sources.diskFull(),
    ...(foreign && { foreign }),
    freeMemoryBytes: machine.freeMemoryBytes(),
    bake: settings.bake,
    maxBoots: settings.maxBoots,
    startedAt: sources.startedAt,
  };
}

function surveyModel(sources: SurveySources, model: ModelName, facts: ReadonlyMap<Digest, ManifestFacts>): ModelSnapshot {
  const { ledger, board, minimums, refusedManifests } = sources;
  const desired = sources.desired()?.models.find((entry) => entry.model === model);
  const traffic = board.traffic(model);
  return {
    model,
    desired,
    serving: ledger.serving(model),
    ...(traffic && { traffic }),
    ...surveyTrial(sources, model, desired, facts),
    routed: board.routed(model),
    versions: ledger.versions(model).map((record) => surveyVersion(board, record, facts)),
    minimumVersion: minimums.get(model) ?? 0,
    servingSince: board.servingSince(model),
    refusedManifest: refusedManifests.get(model),
    held: sources.held(model),
  };
}

/** How the version on trial does, and what it is held to. */
function surveyTrial(
  sources: SurveySources,
  model: ModelName,
  desired: DesiredModel | undefined,
  facts: ReadonlyMap<Digest, ManifestFacts>,
): Partial<ModelSnapshot> {
  const { ledger, board, behaviour, trials, clock } = sources;
  const serving = ledger.serving(model)?.serving;
  const breaker = trials.breaker(model);
  const tripped = breaker !== undefined && isTripped(breaker, clock.now()) ? { trippedAttempt: breaker.attempt } : {};
  if (serving === undefined || behaviour === undefined) return tripped;
  const guard = desired?.version === serving ? desired.rollout?.guard : undefined;
  const bake = guard?.bake === undefined ? {} : { bake: guard.bake };
  const trial = behaviour.trial(model, serving);
  if (trial === undefined || ledger.find(model, serving)?.install !== 'probation') return { ...tripped, ...bake };
  const figures = {
    trial,
    baseline: trials.baseline(model, serving),
    golden: board.rechecked(model, serving),
    ...narrowedOf(ledger, model, facts),
  };
  return { ...tripped, ...bake, trial: { ...figures, limits: guardLimits(guard) } };
}

/** Whether requests that fitted the version before may not fit the one that serves; nothing is said where either manifest is not here. */
function narrowedOf(ledger: Ledger, model: ModelName, facts: ReadonlyMap<Digest, ManifestFacts>): Pick<TrialFigures, 'narrowed'> {
  const { serving, lastKnownGood } = ledger.serving(model) ?? {};
  const [before, after] = [lastKnownGood, serving].map((version) => {
    const record = version === undefined || version === null ? undefined : ledger.find(model, version);
    return record && facts.get(record.manifest)?.signature;
  });
  const narrowed = before && after && narrowing(before, after);
  return narrowed === undefined ? {} : { narrowed };
}

function surveyVersion(board: RuntimeBoard, record: VersionRecord, facts: ReadonlyMap<Digest, ManifestFacts>): VersionFacts {
  const status = board.find(record.model, record.version);
  const since = board.availableSince(record.model, record.version);
  return {
    record,
    manifest: facts.get(record.manifest),
    failures: board.failures(record.model, record.version),
    ...(status && {
      servable: {
        state: status.state,
        ...(since === undefined ? {} : { since }),
        ...(status.memoryBytes === undefined ? {} : { memoryBytes: status.memoryBytes }),
        ...(status.error && { error: { code: status.error.code, message: status.error.message } }),
      },
    }),
  };
}
