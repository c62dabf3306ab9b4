import { AGENT_MODEL, type Digest } from '#shared/bundle/names.js';
import { fullJitter } from '#shared/kernel/backoff.js';
import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError, type SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { SelfUpdate } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import { judge } from '#agent/models/decide/judge.js';
import { Lane } from '#agent/models/lane.js';
import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import { Desk } from './desk.js';
import type { UpdaterDeps } from './ports.js';
import { ReleaseRecords } from './records.js';
import { uncount } from './decide/slot-changes.js';
import { execute } from './steps.js';
import { TrialWatch } from './trial-watch.js';
import { planUpdate, type UpdatePlan, type UpdateStep, type UpdateStepKind } from './decide/update-plan.js';

/**
 * Keeps this agent at the release the hub wants (docs/adr/0003-self-update.md).
 * INVARIANTS: one step at a time, each planned from what is true when the one before it ended; a fetch is cancelled as soon as
 * another release is wanted; after the process was asked to end nothing is begun.
 */
export class Updater implements Service {
  readonly #deps: UpdaterDeps;
  readonly #desk: Desk;
  readonly #startedAt: Millis;
  readonly #listeners = new Set<() => void>();
  readonly #held = new Map<UpdateStepKind, { readonly until: Millis; readonly count: number }>();
  readonly #lane = new Lane((signal) => this.#advance(signal));
  readonly #watch: TrialWatch;
  /** Models that served when the last run ended. */
  #servedBefore: readonly string[] = [];
  #current: UpdateStep | undefined;
  #cancelWake: () => void = () => undefined;
  #stopListening: () => void = () => undefined;
  #closing: Promise<void> | undefined;

  private constructor(deps: UpdaterDeps, desk: (changed: () => void) => Desk) {
    this.#deps = deps;
    this.#startedAt = deps.clock.monotonic();
    this.#desk = desk(() => this.#changed());
    this.#watch = new TrialWatch(this.#desk, () => this.#lane.kick());
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
      return new Desk(deps, records, slots, onChange);
    });
  }

  /** What the device says of its ability, and of the release that runs. */
  get capability(): SelfUpdate {
    const reason = unableReason(this.#deps);
    const { runs } = this.#desk;
    return { able: reason === undefined, ...(reason === undefined ? {} : { reason }), ...(runs === undefined ? {} : { release: runs }) };
  }

  async start(): Promise<void> {
    const { launched, events, logger, desired, state } = this.#deps;
    for (const error of launched?.notes ?? []) {
      logger.error({ code: error.code }, `the launcher noted: ${error.message}`);
      events.emit({ kind: 'version.refused', model: AGENT_MODEL, error: { ...error, message: error.message.slice(0, 2048) } });
    }
    await this.#learnMinimum();
    this.#stopListening = desired.onAccepted(() => void this.#onDesired());
    this.#servedBefore = (await state.serving()).map(({ model }) => model);
    if (this.#desk.onTrial === undefined) await this.#desk.settleDown();
    else this.#watch.start(this.#desk.onTrial);
    this.#lane.kick();
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

  /** Ends every wait before a retry: the link is back, models changed, or an operator asks. */
  retryNow(): void {
    for (const [kind, { count }] of this.#held) this.#held.set(kind, { until: Number.NEGATIVE_INFINITY, count });
    this.#lane.kick();
  }

  /** Resolves once nothing is being done; what waits for a time or for the hub does not count. */
  async idle(): Promise<void> {
    while (this.#lane.busy) await this.#lane.settled();
  }

  /** Files of the cache that belong to the wanted release. */
  async files(): Promise<ReadonlySet<Digest>> {
    const { desired, runs } = this.#desk;
    if (desired === undefined) return new Set();
    if (desired.version === runs) return new Set([desired.manifest]);
    const facts = await this.#desk.facts(desired.version, desired.manifest);
    return new Set(facts?.executable === undefined ? [desired.manifest] : [desired.manifest, facts.executable.digest]);
  }

  /** For the reported state: releases are reported as versions of a model. */
  reported(): Reported['models'] {
    const { records, runs, progress, error, desired, told, noWayBack } = this.#desk;
    const stays = told && desired === undefined && noWayBack ? NO_WAY_BACK : undefined;
    if (records.list().length === 0 && runs === undefined) return [];
    const versions = records.list().map(({ version, manifest, install, attempt, error: refused }) => {
      // As agent/models/report.ts: what is wanted again is said to be wanted at once.
      const again = install === 'bad' && desired?.version === version && desired.attempt !== attempt;
      const reason = again ? undefined : (refused ?? (desired?.version === version ? error : version === runs ? stays : undefined));
      return {
        version,
        manifest,
        install: again ? ('wanted' as const) : install,
        ...(install === 'fetching' && progress !== undefined ? { progress } : {}),
        ...(reason === undefined ? {} : { error: { code: reason.code, message: reason.message.slice(0, 2048) } }),
      };
    });
    return [{ model: AGENT_MODEL, serving: runs ?? null, versions: versions.toSorted((a, b) => a.version - b.version) }];
  }

  async #close(ending: 'asked' | 'failed'): Promise<void> {
    this.#stopListening();
    this.#cancelWake();
    this.#watch.stop();
    await this.#lane.close();
    const { slots, self, leaving, onTrial } = this.#desk;
    // Going back from a trial on a disk that took no verdict: its starts are what ends it.
    if (ending === 'failed' || (leaving && onTrial !== undefined)) return;
    const uncounted = uncount(slots, self);
    if (uncounted !== slots) await this.#desk.writeSlots(uncounted).catch(() => undefined);
  }

  async #onDesired(): Promise<void> {
    await this.#learnMinimum();
    this.#held.clear(); // A new word from the hub ends the waits of the old one.
    this.#lane.kick();
    const { desired } = this.#desk;
    const current = this.#current;
    if (current?.kind !== 'fetchManifest' && current?.kind !== 'fetchExecutable') return;
    if (desired?.version !== current.version) this.#lane.abort();
  }

  async #learnMinimum(): Promise<void> {
    // Not known is not forbidden here: it is checked again before anything is installed, and there an error counts.
    const minimum = await this.#deps.trust.minimumVersion(AGENT_MODEL).catch(() => undefined);
    if (minimum !== undefined) this.#desk.minimums.set(AGENT_MODEL, minimum);
  }

  /** Plans and does one step; false when there is none now. */
  async #advance(signal: AbortSignal): Promise<boolean> {
    this.#cancelWake();
    if (this.#desk.leaving) return false;
    try {
      const { step, wakeAt } = await this.#plan();
      if (step === undefined) {
        if (wakeAt !== undefined) this.#wakeAt(wakeAt);
        return false;
      }
      this.#current = step;
      await this.#run(step, signal);
      return true;
    } catch (cause) {
      const error = asSkerryError(cause);
      this.#deps.logger.error({ code: error.code }, `self-update could not be planned: ${error.message}`);
      this.#wakeAt(this.#deps.clock.monotonic() + this.#deps.settings.retry.max);
      return false;
    } finally {
      this.#current = undefined;
      this.#changed();
    }
  }

  #wakeAt(at: Millis): void {
    const { clock } = this.#deps;
    this.#cancelWake();
    this.#cancelWake = clock.schedule(Math.max(1, at - clock.monotonic()), () => this.#lane.kick());
  }

  async #plan(): Promise<UpdatePlan> {
    const { clock, settings, blobs, models } = this.#deps;
    const { slots, self, records, desired, minimums, confirmed } = this.#desk;
    // What runs is not looked into again: its list of chunks is long.
    const isNew = desired !== undefined && desired.version !== this.#desk.runs;
    const facts = isNew ? await this.#desk.facts(desired.version, desired.manifest) : undefined;
    const digest = facts?.executable?.digest;
    const reported = models();
    const wanted = new Set(this.#deps.desired.current()?.models.map(({ model }) => String(model)));
    const served = new Set(reported.flatMap(({ model, serving }) => (serving === null ? [] : [String(model)])));
    const expected = (this.#desk.onTrial === undefined ? undefined : slots.trying?.served) ?? this.#servedBefore;
    return planUpdate({
      now: clock.monotonic(),
      startedAt: this.#startedAt,
      unable: unableReason(this.#deps),
      self,
      slots,
      desired,
      told: this.#desk.told,
      noWayBack: this.#desk.noWayBack,
      records: records.list(),
      minimumVersion: minimums.get(AGENT_MODEL) ?? 0,
      facts,
      cached: digest !== undefined && (await blobs.has(digest)),
      placed: digest !== undefined && (await this.#desk.isPlaced(digest)),
      schema: MIGRATIONS.length,
      run: {
        bake: settings.bake,
        missing: expected.filter((model) => wanted.has(model) && !served.has(model)),
        confirmed,
      },
      held: new Map([...this.#held].map(([kind, { until }]) => [kind, until])),
    });
  }

  async #run(step: UpdateStep, signal: AbortSignal): Promise<void> {
    const { observe, logger } = this.#deps;
    try {
      await observe?.({ at: 'before', step });
      logger.info({ step: step.kind, ...('version' in step ? { version: step.version } : {}) }, 'self-update');
      await execute(step, this.#desk, signal);
      this.#held.delete(step.kind);
      this.#desk.error = undefined;
      await observe?.({ at: 'after', step });
    } catch (cause) {
      if (!signal.aborted) await this.#failed(step, asSkerryError(cause), signal);
    }
  }

  /** A failed step waits, ever longer; what cannot get better by that is marked bad. */
  async #failed(step: UpdateStep, error: SkerryError, signal: AbortSignal): Promise<void> {
    const { clock, settings, random, logger, events, needSpace } = this.#deps;
    const failedBefore = this.#held.get(step.kind)?.count ?? 0;
    logger.warn({ code: error.code, step: step.kind }, `self-update failed: ${error.message}`);
    const delay = fullJitter(failedBefore, { ...settings.retry, random });
    this.#held.set(step.kind, { until: clock.monotonic() + Math.max(50, delay), count: failedBefore + 1 });
    const told = { code: error.code, message: error.message };
    this.#desk.error = told;
    const verdict =
      error.code === 'UPDATE_LOOP' ? 'refuse' : judge({ step: 'fetchArtifact', code: error.code, failedBefore, replaceable: true });
    if (verdict === 'space') {
      needSpace();
      if (failedBefore === 0) events.emit({ kind: 'disk.full', model: AGENT_MODEL, error: told });
    } else if (verdict === 'refuse' && isAboutNew(step)) {
      const bad = { kind: 'markBad', version: step.version, ...told } as const;
      await execute(bad, this.#desk, signal).catch((cause: unknown) => {
        logger.warn({ code: asSkerryError(cause).code }, 'the release could not be marked bad; it is tried again');
      });
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** What is said of a release that is no longer wanted and stays. */
const NO_WAY_BACK = {
  code: 'UPDATE_NO_WAY_BACK',
  message: 'no release is wanted any more, and the packaged agent could not read the state that is here; deploy a release instead',
};

type AboutNew = UpdateStep<'fetchManifest' | 'fetchExecutable' | 'place' | 'stage' | 'lose' | 'handOver'>;

function isAboutNew(step: UpdateStep): step is AboutNew {
  return ['fetchManifest', 'fetchExecutable', 'place', 'stage', 'lose', 'handOver'].includes(step.kind);
}

function unableReason({ program, launched }: UpdaterDeps): string | undefined {
  if (program === undefined) return 'this agent runs from source, or on a system without exec';
  return launched === undefined ? 'this agent was not started by `skerry-agent launch`' : undefined;
}
