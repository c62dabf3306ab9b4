import { randomBytes } from 'node:crypto';
import type { HubClock } from '#hub/clock/hub-clock.js';
import { parseSelector } from '#hub/fleet/decide/selector.js';
import type { Queryable } from '#hub/store/database.js';
import { minutes, type Millis, seconds } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { currentOf, newRollout, newRow, type PlanDeps, prepare } from './create.js';
import { isBeside, promoted, type RolloutDocument } from './document.js';
import { isActive, isReturning, isUnderWay, type OperatorEvent, ROLLOUT_STATES } from './decide/machine.js';
import type { TrialOutcome } from './decide/trial-outcome.js';
import { type Plan, type PlanDevice, waveOfJoiner, whyNot } from './decide/plan.js';
import type { FleetPort } from './ports.js';
import { joiningRow, mayComeBack } from './decide/membership.js';
import type { Actor, RolloutDevice, RolloutRecord } from './record.js';
import { outcomeQuery } from './decide/trial-outcome-query.js';
import { type ScheduleOutlook, scheduleOutlook, zonesOf } from './decide/schedule.js';
import { type Outlook, RolloutRunner, type RunnerDeps } from './runner.js';
import { type Ending, endingOf, NOTHING_TAKEN, takeOver, type Taker, type Takeover } from './takeover.js';

interface ControllerDeps extends RunnerDeps, Omit<PlanDeps, 'fleet'> {
  readonly fleet: FleetPort;
  /** While the clock of the hub is not credible no time is up and nobody can be told; left out where nobody guards it. */
  readonly hubClock?: Pick<HubClock, 'isCredible' | 'require'>;
  /** How often rollouts look at reports and figures (default 5 s), and for devices that joined (default 1 min). */
  readonly every?: Millis;
  readonly joinEvery?: Millis;
  /** Names rollouts and fixes their slices; tests bring their own. */
  readonly newId?: () => string;
}

interface CreateOptions {
  /** Record it and wait for `start`. */
  readonly draft?: boolean;
  /** End rollouts of the same model on the same devices where they stand, and take their devices over. */
  readonly supersede?: boolean;
}

/** States in which a rollout still looks at its devices by itself; one that has ended costs nothing. */
const WATCHED = ROLLOUT_STATES.filter(isActive);
const UNDER_WAY = ROLLOUT_STATES.filter(isUnderWay);

/**
 * All rollouts of the hub. One thing at a time; what a rollout was doing when the hub ended goes on where it was, from the
 * database.
 */
export class RolloutController implements Service {
  readonly #deps: ControllerDeps;
  /** Rollouts to look at; `#runners` holds those read from the store. */
  readonly #ids = new Set<string>();
  readonly #runners = new Map<string, RolloutRunner>();
  readonly #queue = new ExclusiveQueue();
  #cancel: () => void = () => undefined;
  #closed = false;
  #joinedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    await this.#queue.run(async () => {
      for (const record of await this.#deps.store.list(WATCHED)) {
        const runner = await this.#open(record.id);
        await runner.resume();
      }
    });
    this.#schedule();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    await this.#queue.idle();
  }

  /** What a rollout would do to whom, and when it may begin. */
  async plan(document: RolloutDocument): Promise<{ readonly plan: Plan; readonly window: ScheduleOutlook | null }> {
    const { plan, members } = await prepare(document, this.#deps);
    const zones = zonesOf(members.map((device) => device.labels));
    return { plan, window: scheduleOutlook(document.schedule, zones, this.#deps.clock.now()) };
  }

  /** Whether a rollout's schedule lets somebody be told now, and when that changes; null once it has ended, and without a schedule. */
  async window({ document, state }: RolloutRecord, rows: readonly RolloutDevice[]): Promise<ScheduleOutlook | null> {
    if (!isActive(state)) return null;
    const { fleet, clock } = this.#deps;
    const members = rows.filter((row) => row.released === null).map((row) => row.device);
    const labels = document.schedule.windows.some((window) => window.time === 'device') ? await fleet.labelsOf(members) : new Map();
    return scheduleOutlook(document.schedule, zonesOf(labels.values()), clock.now());
  }

  /**
   * Records a new rollout. Throws `ROLLOUT_EMPTY`, and `ROLLOUT_OVERLAP` when another one of the model is under way on some
   * of the devices and `supersede` was not asked for.
   */
  create(document: RolloutDocument, actor: Actor, options: CreateOptions = {}): Promise<RolloutRecord> {
    return this.#queue.run(async () => {
      this.#deps.hubClock?.require();
      const { store, clock } = this.#deps;
      const id = this.#newId(document);
      const prepared = await prepare(document, this.#deps);
      const created = newRollout({ id, document, prepared, draft: options.draft === true, createdBy: actor.name, at: clock.now() });
      const { previous, endings } =
        options.draft === true
          ? NOTHING_TAKEN
          : await this.#takeOver({ ...created, superseder: options.supersede === true ? actor : undefined });
      const devices = created.devices.map((row) => ({ ...row, previous: previous.get(row.device) ?? null }));
      await store.create(
        created.record,
        devices,
        endings.map(({ move }) => move),
      );
      await this.#end(endings);
      return this.#settle(id);
    });
  }

  /** Something a person does to a rollout. */
  act(id: string, event: OperatorEvent, actor: Actor, reason = `${actor.name}: ${event}`): Promise<RolloutRecord> {
    return this.#queue.run(async () => {
      const runner = await this.#open(id);
      const begins = runner.record.state === 'draft' ? event === 'start' : !isActive(runner.record.state);
      if (begins) await this.#takeOver({ record: runner.record, devices: runner.rows, superseder: undefined });
      await runner.act(event, actor, reason);
      return this.#settle(id);
    });
  }

  /** Takes devices out of a rollout under way. */
  exclude(id: string, devices: readonly DeviceId[], actor: Actor, reason: string): Promise<RolloutRecord> {
    return this.#queue.run(async () => {
      const runner = await this.#open(id);
      await runner.exclude(devices, actor, reason);
      return this.#settle(id);
    });
  }

  /** Ends rollouts where they stand, in one transaction with what `write` writes in their place: all of it is stored, or nothing. */
  supersede<T>(ids: readonly string[], actor: Actor, reason: string, write: (trx: Queryable) => Promise<T>): Promise<T> {
    return this.#queue.run(async () => {
      const endings: Ending[] = [];
      for (const id of ids) endings.push(await endingOf(await this.#open(id), actor, reason));
      const written = await this.#deps.store.replace(
        endings.map(({ move }) => move),
        write,
      );
      await this.#end(endings);
      return written;
    });
  }

  /**
   * Both versions side by side, since the first wave began: as recorded with the decision that ended a trial, otherwise as reported until
   * now, or until the rollout ended.
   */
  async outcome(id: string): Promise<TrialOutcome> {
    const { store, outcomes, clock } = this.#deps;
    const recorded = (await store.decisions(id)).findLast((decision) => decision.figures?.outcome !== undefined)?.figures?.outcome;
    if (recorded !== undefined) return recorded;
    const record = await store.read(id);
    return outcomes.outcome(outcomeQuery(record, await store.devices(id), isActive(record.state) ? clock.now() : record.since));
  }

  /**
   * Rolls out a version that passed its trial beside the old one: the same cohort, limits and gates, wave by wave in its place. Throws
   * `ROLLOUT_NOT_A_TRIAL`, and what `create` throws.
   */
  async promote(
    id: string,
    waves: RolloutDocument['waves'] | undefined,
    actor: Actor,
    options: CreateOptions = {},
  ): Promise<RolloutRecord> {
    const { document, state } = await this.#deps.store.read(id);
    if (!isBeside(document) || state !== 'completed') {
      throw new SkerryError(
        'ROLLOUT_NOT_A_TRIAL',
        `rollout ${id} is a ${document.strategy.kind} that is ${state}; only a completed shadow or A/B rollout can be promoted`,
        {
          details: { rollout: id, strategy: document.strategy.kind, state },
        },
      );
    }
    return this.create(promoted(document, waves), actor, options);
  }

  /** The newest look at a rollout under way; `undefined` for one that is not watched any more. */
  outlook(id: string): Outlook | undefined {
    return this.#runners.get(id)?.outlook;
  }

  /** One look at every rollout under way. */
  tick(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#deps.hubClock?.isCredible === false) return;
      const join = this.#deps.clock.monotonic() - this.#joinedAt >= (this.#deps.joinEvery ?? minutes(1));
      if (join) this.#joinedAt = this.#deps.clock.monotonic();
      for (const id of this.#ids) await this.#look(id, join);
    });
  }

  /** What follows from a change at once; what cannot be done now is tried at every look. */
  async #settle(id: string): Promise<RolloutRecord> {
    await this.#look(id, false);
    return this.#deps.store.read(id);
  }

  /** A rollout that fails to be looked at does not hold up the others; it is read from the store again at the next look. */
  async #look(id: string, join: boolean): Promise<void> {
    try {
      const runner = await this.#open(id);
      if (join && isUnderWay(runner.record.state) && !isReturning(runner.record.state)) {
        await runner.letGo();
        await this.#join(runner);
      }
      await runner.step();
      if (WATCHED.includes(runner.record.state)) return;
      this.#ids.delete(id);
    } catch (thrown) {
      this.#deps.logger.error({ rollout: id, cause: asSkerryError(thrown).message }, 'a rollout could not be checked');
    }
    this.#runners.delete(id);
  }

  async #open(id: string): Promise<RolloutRunner> {
    const known = this.#runners.get(id);
    if (known !== undefined) return known;
    const runner = new RolloutRunner(this.#deps, await this.#deps.store.read(id), await this.#deps.store.devices(id));
    this.#runners.set(id, runner);
    this.#ids.add(id);
    return runner;
  }

  async #takeOver(taker: Taker): Promise<Takeover> {
    return takeOver(taker, await this.#deps.store.list(UNDER_WAY), (id) => this.#open(id));
  }

  /** After the ends are stored, in the turn that worked them out. */
  async #end(endings: readonly Ending[]): Promise<void> {
    for (const { runner, move } of endings) {
      await runner.moved(move);
      await this.#look(move.record.id, false);
    }
  }

  async #join(runner: RolloutRunner): Promise<void> {
    const { record } = runner;
    const { document, plan } = record;
    const { fleet, registry, cohorts } = this.#deps;
    const text = typeof document.cohort === 'string' ? document.cohort : await cohorts.saved(document.cohort.saved);
    const cohort = parseSelector(text);
    const before = new Map(runner.rows.map((row) => [row.device, row]));
    const known = new Set(runner.rows.filter((row) => !mayComeBack(row)).map((row) => row.device));
    const joining = (await fleet.members()).filter((device) => !known.has(device.id) && cohort.matches(device.labels));
    if (joining.length === 0) return;
    const { runnable } = await registry.version(document.model, document.version);
    const input = { document, runnable, ...(await currentOf(document, joining, this.#deps)) };
    const able = joining.filter((device) => whyNot(input, device) === undefined);
    const rowOf = (device: PlanDevice): RolloutDevice => newRow(device.id, waveOfJoiner(plan, device, parseSelector) ?? null);
    await runner.join(able.map((device) => joiningRow(rowOf(device), before.get(device.id))));
  }

  #newId(document: RolloutDocument): string {
    return this.#deps.newId?.() ?? `${document.name ?? `${document.model}-${document.version}`}-${randomBytes(4).toString('hex')}`;
  }

  #schedule(): void {
    this.#cancel = this.#deps.clock.schedule(this.#deps.every ?? seconds(5), () => {
      void this.tick().finally(() => {
        if (!this.#closed) this.#schedule();
      });
    });
  }
}
