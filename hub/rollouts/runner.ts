import { SkerryError } from '#shared/kernel/errors.js';
import { parseSelector } from '#hub/fleet/decide/selector.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { alertOf, nearLimitAlert } from './decide/alerts.js';
import { checkAllowed, checkRole, checkVersions } from './allowed.js';
import { changeBy, type Deciding } from './decide/change.js';
import { decide } from './decide/next-event.js';
import { nextToRevert, nextToTell, OBSERVED, observeAll, reclaim } from './decide/devices.js';
import { isBeside } from './document.js';
import type { WaveFigures } from './figures.js';
import type { GateResult } from './decide/gates/result.js';
import { ENDS_TRIAL } from './decide/trial-outcome-query.js';
import { exclusion, leavers, mayLeave, whyReleased } from './decide/membership.js';
import { isActive, isReturning, type OperatorEvent } from './decide/machine.js';
import { NearLimit } from './near-limit.js';
import type { AlertSink, Change, CohortsPort, FleetPort, RegistryPort, RolloutStore } from './ports.js';
import { type Actor, type Decision, HUB_ACTOR, type RolloutDevice, type RolloutRecord } from './record.js';
import { type FigureSources, readFigures, withOutcome } from './runner-figures.js';
import { hubMayAct, type Zones, zonesOf } from './decide/schedule.js';
import { standingOf } from './standing.js';
import { tellableNow, withPrevious } from './telling.js';
import { wishOf } from './decide/wish.js';

export interface RunnerDeps extends FigureSources {
  readonly store: RolloutStore;
  readonly fleet: FleetPort;
  readonly registry: RegistryPort;
  readonly cohorts: CohortsPort;
  readonly alerts: AlertSink;
  /** Told of every stored transition; must not throw. */
  readonly onMoved?: (record: RolloutRecord) => void;
}

/** What a look found, whether or not it moved anything. */
export interface Outlook {
  readonly at: number;
  readonly figures: WaveFigures | null;
  readonly results: readonly GateResult[];
  readonly waitingFor: string | null;
}

/** A transition with what belongs to it, worked out and not yet stored. */
export type Move = Change & { readonly decision: Decision };

/** Automatic events that take a wave from its begin to the next one (hub/rollouts/decide/machine.ts). */
const EVENTS_PER_WAVE = 5;
/** And those that may follow the last: the end of a trial or of a way back. */
const EVENTS_AFTER = 4;
/** Devices told in one look at most: one transaction, which must not hold up the hub; more are told at the next looks. */
const TOLD_AT_ONCE = 1000;

/**
 * Drives one rollout. INVARIANTS: one call at a time (the controller sees to it); a transition and the wishes that follow
 * from it are stored together before any device is told; telling again what was told is harmless.
 */
export class RolloutRunner {
  readonly #deps: RunnerDeps;
  #record: RolloutRecord;
  readonly #rows = new Map<DeviceId, RolloutDevice>();
  #list: readonly RolloutDevice[] | undefined;
  readonly #near = new NearLimit();
  #outlook: Outlook = { at: 0, figures: null, results: [], waitingFor: null };

  constructor(deps: RunnerDeps, record: RolloutRecord, rows: readonly RolloutDevice[]) {
    this.#deps = deps;
    this.#record = record;
    this.#keep(rows);
  }

  get record(): RolloutRecord {
    return this.#record;
  }

  get rows(): readonly RolloutDevice[] {
    this.#list ??= [...this.#rows.values()];
    return this.#list;
  }

  /** The newest look at figures and gates, for those who watch. */
  get outlook(): Outlook {
    return this.#outlook;
  }

  /** After a restart: publishes again what was stored and perhaps not published. */
  async resume(): Promise<void> {
    const told = this.rows.filter((row) => row.status === 'told' || row.status === 'reverting').map((row) => row.device);
    if (told.length > 0) await this.#deps.fleet.issue(told);
  }

  /** Looks at reports and figures, moves as far as they allow, and tells whoever is next. */
  async step(): Promise<void> {
    await this.#observe();
    // Waves without devices, bake or evidence pass at once, one after the other; what goes beyond their events is a loop.
    const most = this.#record.plan.waves.length * EVENTS_PER_WAVE + EVENTS_AFTER;
    for (let i = 0; i < most; i++) {
      const figures = await readFigures(this.#record, this.rows, await this.#zones(), this.#deps);
      const now = this.#deps.clock.now();
      const verdict = decide(this.#record, figures, now);
      if (verdict.event === 'begin-wave' && (await this.#release(this.rows.filter((row) => this.#isNext(row))))) continue;
      this.#outlook = {
        at: now,
        figures: figures ?? null,
        results: verdict.results,
        waitingFor: verdict.event === undefined ? verdict.reason : null,
      };
      if (verdict.event === undefined) {
        this.#warnNearLimit(verdict.results);
        await this.#tell();
        return;
      }
      const shown = figures && ENDS_TRIAL.has(verdict.event) ? await withOutcome(figures, this.#record, this.rows, this.#deps) : figures;
      const { event, reason, results } = verdict;
      const move = await this.#moveOf({ event, actor: HUB_ACTOR, reason, figures: shown, results });
      await this.moved(move, await this.#deps.store.commit(move));
    }
    throw new SkerryError('ROLLOUT_TRANSITION', `rollout ${this.#record.id} moved ${most} times in one step`);
  }

  /** Moves as a person says; `step` does what follows. Throws `ROLLOUT_STATE` in a state that does not allow it, and `ROLLOUT_ROLE`. */
  async act(event: OperatorEvent, actor: Actor, reason: string): Promise<void> {
    const move = await this.prepare(event, actor, reason);
    await this.moved(move, await this.#deps.store.commit(move));
  }

  /** What `act` stores. Nothing has moved until that is stored and `moved` called with it, in the same turn of the controller. */
  async prepare(event: OperatorEvent, actor: Actor, reason: string): Promise<Move> {
    checkAllowed(this.#record, event);
    if (event === 'approve') checkRole(this.#record, actor);
    await checkVersions(this.#record, this.rows, event, this.#deps.registry);
    return this.#moveOf({ event, actor, reason, changed: await this.#reclaimed() });
  }

  /**
   * Takes devices out as a person says: who was not told is not told, who was told goes back. Throws `ROLLOUT_STATE` and
   * `ROLLOUT_DEVICE_UNKNOWN`; devices that are out already stay so.
   */
  async exclude(devices: readonly DeviceId[], actor: Actor, reason: string): Promise<void> {
    checkAllowed(this.#record, 'exclude');
    const at = this.#deps.clock.now();
    const changed = exclusion(this.#record.id, this.rows, devices, at);
    if (changed.length === 0) return;
    const out = changed.map((row) => row.device);
    const told = changed.filter((row) => row.status === 'reverting' && row.toldAt === at);
    const wishes = told.map((row) => wishOf(this.#record, row, at));
    const move = { ...(await this.#moveOf({ event: 'exclude', actor, reason, changed, out })), wishes };
    await this.#deps.store.commit(move);
    await this.moved(
      move,
      told.map((row) => row.device),
    );
  }

  /** Goes on from a stored move; `reached` are devices to issue for. */
  async moved({ record, decision, devices }: Move, reached: readonly DeviceId[] = []): Promise<void> {
    const { fleet, alerts, logger } = this.#deps;
    this.#record = record;
    this.#keep(devices);
    if (reached.length > 0) await fleet.issue(reached);
    const { event, from, to, actor, reason } = decision;
    logger.info({ rollout: record.id, event, from, to, actor: actor.name, reason }, 'rollout moved');
    const alert = alertOf(record, decision);
    if (alert !== undefined) alerts.notify(alert);
    this.#deps.onMoved?.(record);
  }

  /** Before one that has ended is taken up again: where its devices are now. */
  async #reclaimed(): Promise<readonly RolloutDevice[]> {
    const { id, document, state, plan } = this.#record;
    if (isActive(state) || isBeside(document)) return [];
    const held = await this.#deps.fleet.held(id, document.model);
    return reclaim(this.rows, held, plan.waves.length - 1, this.#deps.clock.now());
  }

  /** Takes in devices that joined the cohort, or came back to it. */
  async join(devices: readonly RolloutDevice[]): Promise<void> {
    if (devices.length > 0) await this.#store(devices);
  }

  /** Lets go of devices that were not told and have left since; the controller calls it when it looks for those that joined. */
  async letGo(): Promise<void> {
    await this.#release(this.rows.filter(mayLeave));
  }

  /** The same for some rows; true when there were such devices. A release is a decision, like everything that moves a rollout. */
  async #release(rows: readonly RolloutDevice[]): Promise<boolean> {
    if (rows.length === 0) return false;
    const { fleet, clock } = this.#deps;
    const { plan } = this.#record;
    const labels = await fleet.labelsOf(rows.map((row) => row.device));
    const cohort = parseSelector(await this.#cohort());
    const changed = leavers(rows, { plan, cohort }, (device) => labels.get(device), clock.now());
    if (changed.length === 0) return false;
    await this.#letOut(changed);
    return true;
  }

  async #letOut(changed: readonly RolloutDevice[]): Promise<void> {
    const left = changed.filter((row) => row.released !== null);
    if (left.length === 0) return this.#store(changed);
    const out = left.map((row) => row.device);
    const move = await this.#moveOf({ event: 'release', actor: HUB_ACTOR, reason: whyReleased(left), changed, out });
    await this.moved(move, await this.#deps.store.commit(move));
  }

  async #cohort(): Promise<string> {
    const { cohort } = this.#record.document;
    return typeof cohort === 'string' ? cohort : this.#deps.cohorts.saved(cohort.saved);
  }

  /** Time zones of the devices that the deadline of the wave goes by, where the schedule has windows in their own time. */
  async #zones(): Promise<Zones> {
    if (this.#record.document.schedule.windows.every((window) => window.time === 'hub')) return new Set();
    const members = this.rows.filter((row) => row.released === null && row.wave !== null && row.wave <= this.#record.wave);
    return zonesOf((await this.#deps.fleet.labelsOf(members.map((row) => row.device))).values());
  }

  #isNext(row: RolloutDevice): boolean {
    return mayLeave(row) && row.wave !== null && row.wave <= this.#record.wave;
  }

  async #moveOf(deciding: Deciding): Promise<Move> {
    const before = this.#record;
    const at = this.#deps.clock.now();
    const { record, decision, changed, rows } = changeBy(before, this.#rows, deciding, at);
    const standing = await standingOf(record, rows, at, this.#deps);
    return { record, expected: before.decisions, decision, devices: changed, wishes: [], ...standing };
  }

  async #observe(): Promise<void> {
    const { fleet, clock } = this.#deps;
    const watched = this.rows.filter((row) => OBSERVED.has(row.status));
    if (watched.length === 0) return;
    const now = clock.now();
    const seen = await fleet.observe(watched.map((row) => wishOf(this.#record, row, now)));
    const changed = observeAll(this.#record, watched, seen, now);
    const gone = changed.filter((row) => row.released?.why === 'removed' && row.status === 'released');
    await this.#store(changed.filter((row) => !gone.includes(row)));
    if (gone.length > 0) await this.#letOut(gone);
  }

  async #store(devices: readonly RolloutDevice[]): Promise<void> {
    if (devices.length === 0) return;
    await this.#deps.store.commit({ record: this.#record, expected: this.#record.decisions, devices, wishes: [] });
    this.#keep(devices);
  }

  /** Tells the next devices; their wishes are stored with their new status, then issued. */
  async #tell(): Promise<void> {
    const { fleet, store, clock } = this.#deps;
    const now = clock.now();
    const back = isReturning(this.#record.state);
    const next = back ? nextToRevert(this.#record, this.rows).slice(0, TOLD_AT_ONCE) : await this.#toTell();
    if (next.length === 0) return;
    const record = this.#record;
    const rows = next.map(
      (row): RolloutDevice => ({
        ...row,
        status: back ? 'reverting' : 'told',
        toldAt: now,
        error: back ? row.error : null,
      }),
    );
    const wishes = rows.map((row) => wishOf(this.#record, row, now));
    await store.commit({ record, expected: record.decisions, devices: rows, wishes });
    this.#keep(rows);
    await fleet.issue(rows.map((row) => row.device));
  }

  async #toTell(): Promise<RolloutDevice[]> {
    const { fleet, clock } = this.#deps;
    const record = this.#record;
    if (!isActive(record.state)) return [];
    const now = clock.now();
    const { schedule } = record.document;
    // A window that closes in the middle of a wave stops it there, until the next one; going back waits for none.
    if (!hubMayAct(schedule, now)) return [];
    const mayBeTold = await tellableNow(record, fleet, now);
    const tellable = (): RolloutDevice[] => nextToTell(this.#record, this.rows, mayBeTold).slice(0, TOLD_AT_ONCE);
    let next = tellable();
    // Who left since the plan was made is not told; each round lets somebody go.
    while (await this.#release(next.filter(mayLeave))) next = tellable();
    return withPrevious(this.#record, next, fleet);
  }

  #keep(rows: readonly RolloutDevice[]): void {
    for (const row of rows) this.#rows.set(row.device, row);
    if (rows.length > 0) this.#list = undefined;
  }

  #warnNearLimit(results: readonly GateResult[]): void {
    const reasons = this.#near.reasons(this.#record.wave, results);
    if (reasons.length > 0) this.#deps.alerts.notify(nearLimitAlert(this.#record, this.#deps.clock.now(), reasons));
  }
}
