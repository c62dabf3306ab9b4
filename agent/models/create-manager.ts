import { isDeepStrictEqual } from 'node:util';
import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { DesiredModel, DesiredState } from '#shared/trust/desired.js';
import type { Lane } from './lane.js';
import { Ledger } from './ledger.js';
import type { ModelManager, ModelManagerDeps } from './manager.js';
import { Manifests } from './manifests.js';
import { ModelLane } from './model-lane.js';
import { ModelLanes } from './model-lanes.js';
import { planContext, planModel } from './decide/plan.js';
import type { PlanContext } from './decide/rule.js';
import { ProgressBoard } from './progress.js';
import { reportModels } from './report.js';
import { RuntimeBoard } from './runtime-board.js';
import type { DeviceSnapshot, HeldStep } from './decide/snapshot.js';
import { hasLeftovers } from './decide/plan-space.js';
import { SpaceKeeper } from './space-keeper.js';
import { type Step, stepKey } from './decide/step.js';
import { StepRunner } from './step-runner.js';
import type { StepContext } from './steps/context.js';
import { Trials } from './trials.js';
import { Surveyor } from './survey.js';

/** The manager's insides, made once the store was read. */
interface Workshop {
  readonly context: StepContext;
  readonly runner: StepRunner;
  readonly space: SpaceKeeper;
  survey(): Promise<DeviceSnapshot>;
}

const NO_HOLDS: readonly HeldStep[] = [];

export function createModelManager(deps: ModelManagerDeps): ModelManager {
  return new Manager(deps);
}

/**
 * Plans and works model by model.
 * INVARIANTS: one step at a time per model, and one that makes space for all; each is planned from what is true when the one
 * before it ended. A fetch is cancelled as soon as the plan says something else; other steps run to their end.
 */
class Manager implements ModelManager {
  readonly #deps: ModelManagerDeps;
  readonly #lanes = new ModelLanes((model) => new ModelLane(this.#deps.clock, (lane, signal) => this.#advance(model, lane, signal)));
  readonly #listeners = new Set<() => void>();
  readonly #minimums = new BoundedMap<string, number>(LIMITS.rememberedModels);
  readonly #refusedManifests = new BoundedMap<string, Digest>(LIMITS.rememberedModels);
  readonly #startedAt: Millis;
  /** The desired state that the lanes were last told of. */
  #followed: DesiredState | undefined;
  #workshop: Workshop | undefined;
  #stopListening: () => void = () => undefined;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(deps: ModelManagerDeps) {
    this.#deps = deps;
    this.#startedAt = deps.clock.monotonic();
  }

  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  reportedModels(): Reported['models'] {
    if (this.#workshop === undefined) return [];
    return reportModels({ ...this.#workshop.context, desired: (model) => this.#desired(model) });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  retryNow(): void {
    for (const entry of this.#lanes.all()) entry.retryNow();
  }

  makeSpace(): void {
    this.#workshop?.space.noteDiskFull();
  }

  async idle(): Promise<void> {
    const lanes = (): Lane[] => [...this.#lanes.all().map(({ lane }) => lane), ...(this.#workshop ? [this.#workshop.space.lane] : [])];
    while (lanes().some((lane) => lane.busy)) await Promise.all(lanes().map((lane) => lane.settled()));
  }

  async #start(): Promise<void> {
    this.#workshop = await this.#open();
    await this.#forgiveInnocent(this.#workshop.context.ledger);
    await this.#learnMinimums(this.#modelNames());
    this.#followed = this.#deps.desired.current();
    this.#stopListening = this.#deps.desired.onAccepted(() => void this.#onDesired());
    for (const model of this.#modelNames()) this.#lanes.of(model).lane.kick();
    this.#workshop.space.lane.kick();
  }

  async #forgiveInnocent(ledger: Ledger): Promise<void> {
    const { suspects, logger } = this.#deps;
    if (suspects === undefined) return;
    await ledger.forgiveInnocent(suspects).catch((cause: unknown) => {
      logger.warn({ code: asSkerryError(cause).code }, 'starts that a version did not end stay counted');
    });
  }

  async #open(): Promise<Workshop> {
    const { state, blobs, trust, fetcher, servables, events, machine, clock, logger, observe } = this.#deps;
    const onPersisted: ModelManagerDeps['observe'] = (moment) => {
      this.#changed();
      return observe?.(moment);
    };
    const context: StepContext = {
      blobs,
      trust,
      fetcher,
      events,
      machine,
      clock,
      logger,
      ledger: await Ledger.load({ state, events, clock, observe: onPersisted }),
      manifests: new Manifests(blobs, machine),
      progress: new ProgressBoard(() => this.#changed()),
      board: new RuntimeBoard(servables, clock, {
        changed: () => this.#changed(),
        failed: ({ model, version }) => this.#onServableFailed(model, version),
      }),
      minimums: this.#minimums,
      refusedManifests: this.#refusedManifests,
      losses: new BoundedMap(LIMITS.rememberedVersions),
      downloads: new Map(),
      trials: await Trials.load(state, logger),
      behaviour: this.#deps.behaviour,
      verdicts: new BoundedMap(LIMITS.rememberedVersions),
      attemptOf: (record) => {
        const wanted = this.#desired(record.model);
        const entry = [wanted, wanted?.candidate].find((candidate) => candidate?.version === record.version);
        return entry?.attempt ?? record.attempt;
      },
    };
    const surveyor = this.#newSurveyor(context, () => space.diskFull);
    const survey = (): Promise<DeviceSnapshot> => surveyor.survey();
    const space: SpaceKeeper = new SpaceKeeper({
      context,
      logger,
      observe,
      survey,
      desired: (model) => this.#desired(model),
      currentStep: (model) => this.#lanes.find(model)?.current,
      onFreed: () => this.retryNow(),
    });
    const runner = new StepRunner({ ...this.#deps, context, survey, onDiskFull: () => space.noteDiskFull() });
    return { context, runner, space, survey };
  }

  async #close(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    this.#stopListening();
    const { space, context } = this.#workshop ?? {};
    await Promise.all([space?.lane.close(), ...this.#lanes.all().map((entry) => entry.close())]);
    context?.board.close();
    await context?.ledger.forgiveStarts().catch((cause: unknown) => {
      this.#deps.logger.warn({ code: asSkerryError(cause).code }, 'starts of versions on trial stay counted');
    });
  }

  async #onDesired(): Promise<void> {
    const raised = await this.#learnMinimums(this.#modelNames());
    if (this.#closing !== undefined) return; // A lane made now would outlive the manager.
    this.#lanes.keepOnly(this.#modelNames());
    for (const model of this.#concerned(raised)) {
      const entry = this.#lanes.of(model);
      entry.renew();
      this.#kick(model, entry);
    }
    this.#opened().space.lane.kick();
  }

  /** Models that a new word from the hub may change something for; all others are left at rest, however many there are. */
  #concerned(raised: ReadonlySet<ModelName>): readonly ModelName[] {
    const before = this.#followed;
    this.#followed = this.#deps.desired.current();
    const wishes = new Map(before?.models.map((wish) => [wish.model, wish]));
    const isConcerned = (model: ModelName): boolean =>
      before === undefined ||
      raised.has(model) ||
      this.#lanes.of(model).holds.list().length > 0 ||
      !isDeepStrictEqual(wishes.get(model), this.#desired(model));
    return [...this.#modelNames()].filter(isConcerned);
  }

  #onServableFailed(model: ModelName, version: VersionNumber): void {
    const { context, runner } = this.#opened();
    const entry = this.#lanes.of(model);
    // The first reload is at once; what keeps failing is reloaded ever more slowly.
    const again = context.board.failures(model, version) - 2;
    if (again >= 0) runner.hold({ kind: 'load', model, version, purpose: 'serve' }, entry.holds, again);
    this.#kick(model, entry);
  }

  /** Work for a model: at once, or after the step under way, unless that is a fetch the plan no longer wants. */
  #kick(model: ModelName, entry: ModelLane): void {
    entry.lane.kick();
    const { current } = entry;
    if (current?.kind === 'fetchManifest' || current?.kind === 'fetchArtifact') void this.#reconsider(model, entry, current);
  }

  async #reconsider(model: ModelName, entry: ModelLane, current: Step): Promise<void> {
    // When the look fails the fetch goes on; the next look is at its end.
    const planned = await this.#plan(model).catch(() => ({ step: current }));
    const wanted = planned.step !== undefined && stepKey(planned.step) === stepKey(current);
    if (!wanted && entry.current === current) entry.lane.abort();
  }

  /** Plans and does one step of a model; false when there is none now. */
  async #advance(model: ModelName, entry: ModelLane, signal: AbortSignal): Promise<boolean> {
    const { runner, space } = this.#opened();
    const { clock, logger, settings } = this.#deps;
    entry.cancelWake();
    try {
      const { step, wakeAt, context } = await this.#plan(model);
      if (context.space.steps.length > 0 || hasLeftovers(context.device)) space.lane.kick();
      if (step === undefined) {
        entry.rest();
        if (wakeAt !== undefined) entry.wakeAfter(wakeAt - clock.monotonic());
        return false;
      }
      if (entry.lap()) throw new SkerryError('MODELS_LOOP', `the plan of ${model} does not come to an end, last ${step.kind}`);
      if (step.kind === 'fetchManifest' || step.kind === 'fetchArtifact') space.forgetDiskFull();
      entry.current = step;
      await runner.run(step, entry.holds, signal);
      return true;
    } catch (cause) {
      // Not a step failed but the look at what is true, or it never ends: rest, then look again.
      const error = asSkerryError(cause);
      logger.error({ code: error.code, model }, `planning failed: ${error.message}`);
      entry.rest();
      entry.wakeAfter(settings.retry.max);
      return false;
    } finally {
      entry.current = undefined;
      this.#changed();
    }
  }

  async #plan(model: ModelName): Promise<ReturnType<typeof planModel> & { readonly context: PlanContext }> {
    const context = planContext(await this.#opened().survey());
    const snapshot = context.device.models.find((candidate) => candidate.model === model);
    return snapshot === undefined ? { context } : { ...planModel(snapshot, context), context };
  }

  #newSurveyor(context: StepContext, diskFull: () => boolean): Surveyor {
    const { settings, desired, foreign } = this.#deps;
    return new Surveyor({
      ...context,
      settings,
      startedAt: this.#startedAt,
      desired: () => desired.current(),
      held: (model) => this.#lanes.find(model)?.holds.list() ?? NO_HOLDS,
      diskFull,
      foreign,
    });
  }

  /** Gives the models whose minimum is another one than before. */
  async #learnMinimums(models: Iterable<ModelName>): Promise<ReadonlySet<ModelName>> {
    const changed = new Set<ModelName>();
    for (const model of models) {
      // Not known is not forbidden here: whatever is installed is checked again, and there an error counts.
      const minimum = await this.#deps.trust.minimumVersion(model).catch(() => undefined);
      if (minimum === undefined || minimum === this.#minimums.get(model)) continue;
      this.#minimums.set(model, minimum);
      changed.add(model);
    }
    return changed;
  }

  #modelNames(): ReadonlySet<ModelName> {
    const wanted = this.#deps.desired.current()?.models.map(({ model }) => model) ?? [];
    return new Set<ModelName>([...this.#opened().context.ledger.models(), ...wanted]);
  }

  #desired(model: ModelName): DesiredModel | undefined {
    return this.#deps.desired.current()?.models.find((entry) => entry.model === model);
  }

  #opened(): Workshop {
    if (this.#workshop === undefined) throw new SkerryError('CLOSED', 'the model manager is not started');
    return this.#workshop;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
