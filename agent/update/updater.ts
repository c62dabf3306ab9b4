import { AGENT_MODEL, type Digest } from '#shared/bundle/names.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Millis } from '#shared/kernel/time.js';
import type { SelfUpdate } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import { refreshMinimum } from '#agent/install/admission.js';
import { handleFailure } from '#agent/install/failure-handling.js';
import { reportedError } from '#agent/install/report-parts.js';
import { allIdle } from '#agent/install/serial-worker.js';
import { StepLoop } from '#agent/install/step-loop.js';
import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import { uncount } from './decide/slot-changes.js';
import { planUpdate, type UpdatePlan, type UpdateStep } from './decide/update-plan.js';
import type { UpdaterDeps } from './ports.js';
import { ReleaseRecords } from './records.js';
import { releaseFailureActions } from './release-failures.js';
import { reportReleases } from './report-releases.js';
import { execute } from './steps.js';
import { TrialWatch } from './trial-watch.js';
import { UpdateContext } from './update-context.js';

/**
 * Keeps this agent at the release the hub wants (docs/adr/0003-self-update.md).
 * INVARIANTS: one step at a time (install/step-loop.ts); a fetch is cancelled as soon as another release is wanted; after the process was
 * asked to end no step is begun.
 */
export class Updater implements Service {
  readonly #deps: UpdaterDeps;
  readonly #context: UpdateContext;
  readonly #startedAt: Millis;
  readonly #listeners = new Set<() => void>();
  readonly #loop: StepLoop<UpdateStep>;
  readonly #watch: TrialWatch;
  /** Models that served when the last run ended. */
  #servedBefore: readonly string[] = [];
  #stopListening: () => void = () => undefined;
  #closing: Promise<void> | undefined;

  private constructor(deps: UpdaterDeps, context: (changed: () => void) => UpdateContext) {
    this.#deps = deps;
    this.#startedAt = deps.clock.monotonic();
    this.#context = context(() => this.#changed());
    this.#loop = this.#createLoop();
    this.#watch = new TrialWatch(this.#context, () => this.#loop.kick());
  }

  /** Reads what is known of releases. A slot file that cannot be used counts as none: the launcher has noted it. */
  static async open(deps: UpdaterDeps): Promise<Updater> {
    const slots = await deps.folder.read().catch((cause: unknown) => {
      deps.logger.error({ code: asSkerryError(cause).code }, asSkerryError(cause).message);
      return undefined;
    });
    let changed = (): void => undefined;
    const records = await ReleaseRecords.load({ state: deps.state, events: deps.events, changed: () => changed() });
    return new Updater(deps, (onChange) => {
      changed = onChange;
      return new UpdateContext(deps, records, slots, onChange);
    });
  }

  /** Whether this agent can replace itself, and the release that runs. */
  get capability(): SelfUpdate {
    const reason = unableReason(this.#deps);
    const { runs } = this.#context;
    return { able: reason === undefined, ...(reason === undefined ? {} : { reason }), ...(runs === undefined ? {} : { release: runs }) };
  }

  async start(): Promise<void> {
    const { launched, events, logger, desired, state } = this.#deps;
    for (const error of launched?.notes ?? []) {
      logger.error({ code: error.code }, `the launcher reported: ${error.message}`);
      events.emit({ kind: 'version.refused', model: AGENT_MODEL, error: reportedError(error) });
    }
    await refreshMinimum(this.#context.admission, AGENT_MODEL);
    this.#stopListening = desired.onAccepted(() => void this.#onDesired());
    this.#servedBefore = (await state.serving()).map(({ model }) => model);
    if (this.#context.onTrial === undefined) await this.#context.settleDown();
    else this.#watch.start(this.#context.onTrial);
    this.#loop.kick();
  }

  /** `failed`: nobody asked for this end, so it counts against the release that runs. */
  close(ending: 'asked' | 'failed' = 'asked'): Promise<void> {
    this.#closing ??= this.#close(ending);
    return this.#closing;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends every delay before a retry: the link is back, models changed, or an operator asks. */
  retryNow(): void {
    this.#loop.retryNow();
  }

  /** Resolves once no step is in progress; a delay or a wait for the hub does not count. */
  idle(): Promise<void> {
    return allIdle(() => [this.#loop]);
  }

  /** Files of the cache that belong to the wanted release. */
  async files(): Promise<ReadonlySet<Digest>> {
    const { desired, runs, manifests } = this.#context;
    if (desired === undefined) return new Set();
    if (desired.version === runs) return new Set([desired.manifest]);
    const facts = await manifests.facts(desired.version, desired.manifest);
    return new Set(facts?.executable === undefined ? [desired.manifest] : [desired.manifest, facts.executable.digest]);
  }

  /** For the reported state: releases are reported as versions of a model. */
  reported(): Reported['models'] {
    return reportReleases(this.#context);
  }

  async #close(ending: 'asked' | 'failed'): Promise<void> {
    this.#stopListening();
    this.#watch.stop();
    await this.#loop.close();
    const { slots, self, leaving, onTrial } = this.#context;
    // Going back from a trial on a disk that took no verdict: its starts are what ends it.
    if (ending === 'failed' || (leaving && onTrial !== undefined)) return;
    const uncounted = uncount(slots, self);
    if (uncounted !== slots) await this.#context.writeSlots(uncounted).catch(() => undefined);
  }

  async #onDesired(): Promise<void> {
    await refreshMinimum(this.#context.admission, AGENT_MODEL);
    this.#loop.renew();
  }

  #createLoop(): StepLoop<UpdateStep> {
    const { clock, logger, random, settings, observe } = this.#deps;
    return new StepLoop<UpdateStep>({
      clock,
      logger,
      random,
      retry: settings.retry,
      subject: 'self-update',
      cancellable: new Set<UpdateStep['kind']>(['fetchManifest', 'fetchExecutable']),
      plan: () => this.#plan(),
      execute: async (step, signal) => {
        logger.info({ step: step.kind, ...('version' in step ? { version: step.version } : {}) }, 'self-update');
        await execute(step, this.#context, signal);
        this.#context.error = undefined;
      },
      failed: (step, failure) => handleFailure(AGENT_MODEL, step, failure, releaseFailureActions(this.#context)),
      changed: () => this.#changed(),
      observe,
    });
  }

  async #plan(): Promise<UpdatePlan> {
    const { clock, settings, blobs, models } = this.#deps;
    const { slots, self, records, desired, desiredKnown, admission, confirmed, runs, manifests, leaving, noWayBack } = this.#context;
    if (leaving) return {};
    // What runs is not looked into again: its list of chunks is long.
    const isNew = desired !== undefined && desired.version !== runs;
    const facts = isNew ? await manifests.facts(desired.version, desired.manifest) : undefined;
    const digest = facts?.executable?.digest;
    return planUpdate({
      now: clock.monotonic(),
      startedAt: this.#startedAt,
      unable: unableReason(this.#deps),
      self,
      slots,
      desired,
      desiredKnown,
      noWayBack,
      records: records.list(),
      minimumVersion: admission.minimums.get(AGENT_MODEL) ?? 0,
      facts,
      cached: digest !== undefined && (await blobs.has(digest)),
      placed: digest !== undefined && (await this.#context.isPlaced(digest)),
      schema: MIGRATIONS.length,
      run: { bake: settings.bake, missing: this.#missingModels(models()), confirmed },
      held: this.#loop.holds.list(),
    });
  }

  /** Models that were served before this release ran, that are still wanted and that are not served now. */
  #missingModels(reported: Reported['models']): readonly string[] {
    const { slots, onTrial } = this.#context;
    const wanted = new Set(this.#deps.desired.current()?.models.map(({ model }) => String(model)));
    const served = new Set(reported.flatMap(({ model, serving }) => (serving === null ? [] : [String(model)])));
    const expected = (onTrial === undefined ? undefined : slots.trying?.served) ?? this.#servedBefore;
    return expected.filter((model) => wanted.has(model) && !served.has(model));
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Why this agent cannot replace itself; `undefined` when it can. */
function unableReason({ program, launched }: UpdaterDeps): string | undefined {
  if (program === undefined) return 'this agent runs from source, or on a system without exec';
  return launched === undefined ? 'this agent was not started by `skerry-agent launch`' : undefined;
}
