import { isDeepStrictEqual } from 'node:util';
import type { Digest, ModelName } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { narrowing } from '#shared/tensor/narrowing.js';
import type { DesiredModel, DesiredState } from '#shared/trust/desired.js';
import type { BlobStore, ServingRecord, VersionRecord } from '#agent/store/contract.js';
import { completeDigests } from './decide/facts.js';
import { guardLimits, isTripped, type TrialFigures } from './decide/guard.js';
import type { HeldStep } from '#agent/install/decide/install-step.js';
import type { Ledger } from './ledger.js';
import type { Manifests } from './manifests.js';
import type { BehaviourSource } from './ports.js';
import type { RuntimeView } from './runtime-view.js';
import type { DeviceSnapshot, ManifestFacts, ModelSnapshot, VersionFacts } from './decide/snapshot.js';
import type { Trials } from './trials.js';
import type { Machine } from './variants.js';

interface SurveySources {
  readonly ledger: Ledger;
  readonly runtime: RuntimeView;
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
  readonly held: (model: ModelName) => readonly HeldStep[];
  diskFull(): boolean;
  /** What else uses the cache. */
  foreign?: (() => Promise<ReadonlySet<Digest>>) | undefined;
}

/** What a model's part of a snapshot was made from. As long as all of it is the same, so is the snapshot. */
interface Basis {
  readonly records: readonly VersionRecord[];
  readonly serving: ServingRecord | undefined;
  readonly running: number;
  readonly wish: DesiredModel | undefined;
  readonly held: readonly HeldStep[];
  readonly minimum: number;
  readonly refused: Digest | undefined;
  readonly facts: readonly (ManifestFacts | undefined)[];
}

interface Surveyed {
  readonly basis: Basis;
  readonly snapshot: ModelSnapshot;
}

/**
 * Gathers what is true now, and looks again only at models of which something changed: a device with many does not pay for all
 * of them whenever one takes a step.
 */
export class Surveyor {
  readonly #sources: SurveySources;
  #models = new Map<ModelName, Surveyed>();
  #wishes: { readonly of: DesiredState | undefined; readonly byModel: ReadonlyMap<ModelName, DesiredModel> } = {
    of: undefined,
    byModel: new Map(),
  };

  constructor(sources: SurveySources) {
    this.#sources = sources;
  }

  /** What has to be waited for comes first, so the rest is of one moment. */
  async survey(): Promise<DeviceSnapshot> {
    const { manifests, blobs, machine, clock, settings, ledger } = this.#sources;
    const [entries, usage, foreign] = await Promise.all([blobs.list(), blobs.usage(), this.#sources.foreign?.()]);
    const complete = completeDigests({ blobs: entries });
    for (const model of ledger.models()) {
      for (const { manifest } of ledger.versions(model))
        if (complete.has(manifest) && manifests.known(manifest) === undefined) await manifests.facts(manifest);
    }
    const desired = this.#sources.desired();
    const wishes = this.#wishesOf(desired);
    const names = new Set<ModelName>([...ledger.models(), ...wishes.keys()]);
    const before = this.#models;
    this.#models = new Map([...names].map((model) => [model, this.#look(model, wishes.get(model), complete, before.get(model))]));
    manifests.keepOnly(complete);
    return {
      now: clock.monotonic(),
      desiredKnown: desired !== undefined,
      models: [...this.#models.values()].map(({ snapshot }) => snapshot),
      blobs: entries,
      budgetBytes: usage.budgetBytes,
      diskFull: this.#sources.diskFull(),
      ...(foreign && { foreign }),
      freeMemoryBytes: machine.freeMemoryBytes(),
      bake: settings.bake,
      maxBoots: settings.maxBoots,
      startedAt: this.#sources.startedAt,
    };
  }

  #look(model: ModelName, wish: DesiredModel | undefined, complete: ReadonlySet<Digest>, known: Surveyed | undefined): Surveyed {
    if (known !== undefined && !this.#isJudged(known) && this.#isSame(model, wish, complete, known.basis)) return known;
    const { ledger, runtime, manifests, minimums, refusedManifests, held } = this.#sources;
    const records = ledger.versions(model);
    const basis: Basis = {
      records,
      serving: ledger.serving(model),
      running: runtime.changes(model),
      wish,
      held: held(model),
      minimum: minimums.get(model) ?? 0,
      refused: refusedManifests.get(model),
      facts: records.map(({ manifest }) => (complete.has(manifest) ? manifests.known(manifest) : undefined)),
    };
    return { basis, snapshot: surveyModel(this.#sources, model, basis) };
  }

  #isSame(model: ModelName, wish: DesiredModel | undefined, complete: ReadonlySet<Digest>, basis: Basis): boolean {
    const { ledger, runtime, manifests, minimums, refusedManifests, held } = this.#sources;
    return (
      basis.records === ledger.versions(model) &&
      basis.serving === ledger.serving(model) &&
      basis.running === runtime.changes(model) &&
      basis.wish === wish &&
      basis.held === held(model) &&
      basis.minimum === (minimums.get(model) ?? 0) &&
      basis.refused === refusedManifests.get(model) &&
      basis.records.every(({ manifest }, index) => {
        return basis.facts[index] === (complete.has(manifest) ? manifests.known(manifest) : undefined);
      })
    );
  }

  /** Figures of a trial, and the memory of earlier ones, change with every request and with time. */
  #isJudged({ basis: { records, serving }, snapshot: { model } }: Surveyed): boolean {
    const { behaviour, trials } = this.#sources;
    if (trials.breaker(model) !== undefined) return true;
    return behaviour !== undefined && records.some(({ version, install }) => version === serving?.serving && install === 'probation');
  }

  /** What is wanted of each model; a wish that a new desired state repeats stays the one it was. */
  #wishesOf(desired: DesiredState | undefined): ReadonlyMap<ModelName, DesiredModel> {
    if (this.#wishes.of !== desired) {
      const before = this.#wishes.byModel;
      const byModel = new Map(
        desired?.models.map((wish): [ModelName, DesiredModel] => {
          const known = before.get(wish.model);
          return [wish.model, known !== undefined && isDeepStrictEqual(known, wish) ? known : wish];
        }),
      );
      this.#wishes = { of: desired, byModel };
    }
    return this.#wishes.byModel;
  }
}

function surveyModel(sources: SurveySources, model: ModelName, basis: Basis): ModelSnapshot {
  const { runtime } = sources;
  const { wish, serving, minimum, refused, held, records, facts } = basis;
  const traffic = runtime.traffic(model);
  return {
    model,
    desired: wish,
    serving,
    ...(traffic && { traffic }),
    ...surveyTrial(sources, model, basis),
    routed: runtime.routed(model),
    versions: records.map((record, index) => surveyVersion(runtime, record, facts[index])),
    minimumVersion: minimum,
    servingSince: runtime.servingSince(model),
    refusedManifest: refused,
    held,
  };
}

/** How the version on trial does, and what it is held to. */
function surveyTrial(sources: SurveySources, model: ModelName, basis: Basis): Partial<ModelSnapshot> {
  const { ledger, runtime, behaviour, trials, clock } = sources;
  const { wish: desired } = basis;
  const serving = basis.serving?.serving;
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
    golden: runtime.rechecked(model, serving),
    ...narrowedOf(basis),
  };
  return { ...tripped, ...bake, trial: { ...figures, limits: guardLimits(guard) } };
}

/** Whether requests that fitted the version before may not fit the one that serves; nothing is said where either manifest is not here. */
function narrowedOf({ records, serving, facts }: Basis): Pick<TrialFigures, 'narrowed'> {
  const [before, after] = [serving?.lastKnownGood, serving?.serving].map((version) => {
    const index = records.findIndex((record) => record.version === version);
    return facts[index]?.signature;
  });
  const narrowed = before && after && narrowing(before, after);
  return narrowed === undefined ? {} : { narrowed };
}

function surveyVersion(runtime: RuntimeView, record: VersionRecord, manifest: ManifestFacts | undefined): VersionFacts {
  const status = runtime.find(record.model, record.version);
  const since = runtime.availableSince(record.model, record.version);
  return {
    record,
    manifest,
    failures: runtime.failures(record.model, record.version),
    ...(status && {
      servable: {
        state: status.state,
        ...(since === undefined ? {} : { since }),
        ...(status.error && { error: { code: status.error.code, message: status.error.message } }),
      },
    }),
  };
}
