import { SkerryError } from '#shared/kernel/errors.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { alertOf, NEAR_LIMIT, nearLimitAlert } from './alerts.js';
import { actionsOf, apply } from './apply.js';
import { decide } from './decide.js';
import { nextToRevert, nextToTell, OBSERVED, observe, reclaim, resetBy } from './devices.js';
import { isBeside } from './document.js';
import type { WaveFigures } from './figures.js';
import type { GateResult } from './gates/result.js';
import { ENDS_TRIAL } from './outcome-query.js';
import { isActive, isReturning, type OperatorEvent, type RolloutEvent, statesAllowing } from './machine.js';
import type { AlertSink, Change, CohortsPort, FleetPort, RegistryPort, RolloutStore } from './ports.js';
import { type Actor, type Decision, HUB_ACTOR, type RolloutDevice, type RolloutRecord } from './record.js';
import { type FigureSources, readFigures, withOutcome } from './runner-figures.js';
import { deviceMayBeTold, hubMayAct } from './schedule.js';
import { standingOf } from './standing.js';
import { wishOf } from './wish.js';

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

/** Automatic events that take a wave from its begin to the next one (hub/rollouts/machine.ts). */
const EVENTS_PER_WAVE = 4;
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
  readonly #near = new Set<string>();
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
      const figures = await readFigures(this.#record, this.rows, this.#deps);
      const now = this.#deps.clock.now();
      const verdict = decide(this.#record, figures, now);
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
      const move = await this.#moveOf(verdict.event, HUB_ACTOR, verdict.reason, shown, verdict.results);
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
    if (!actionsOf(this.#record).includes(event)) {
      const states = statesAllowing(event);
      throw new SkerryError(
        'ROLLOUT_STATE',
        `the rollout is ${this.#record.state}; "${event}" is possible when it is ${states.join(', ')}`,
        {
          details: { state: this.#record.state, states },
        },
      );
    }
    if (event === 'approve') this.#checkRole(actor);
    return this.#moveOf(event, actor, reason, undefined, [], await this.#reclaimed());
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

  /** Takes in devices that joined the cohort; returns how many. */
  async join(devices: readonly RolloutDevice[]): Promise<number> {
    const added = devices.filter((row) => !this.#rows.has(row.device));
    if (added.length === 0) return 0;
    await this.#deps.store.commit({ record: this.#record, expected: this.#record.decisions, devices: added, wishes: [] });
    this.#keep(added);
    return added.length;
  }

  async #moveOf(
    event: RolloutEvent,
    actor: Actor,
    reason: string,
    figures: WaveFigures | undefined,
    results: readonly GateResult[],
    changed: readonly RolloutDevice[] = [],
  ): Promise<Move> {
    const before = this.#record;
    const at = this.#deps.clock.now();
    const record = apply(before, event, at);
    const decision: Decision = {
      number: record.decisions,
      at,
      event,
      from: before.state,
      to: record.state,
      wave: before.wave,
      actor: { ...actor },
      reason,
      figures: figures ?? null,
      results: [...results],
    };
    const now = new Map([...this.#rows, ...changed.map((row) => [row.device, row] as const)]);
    const devices = [...new Map([...changed, ...resetBy(event, before, [...now.values()])].map((row) => [row.device, row])).values()];
    return { record, expected: before.decisions, decision, devices, wishes: [], ...(await standingOf(record, at, this.#deps)) };
  }

  async #observe(): Promise<void> {
    const { fleet, clock, store } = this.#deps;
    const watched = this.rows.filter((row) => OBSERVED.has(row.status));
    if (watched.length === 0) return;
    const now = clock.now();
    const { silent, deadline } = this.#record.document;
    const patience = { silentAfter: silent.after, backAfter: deadline };
    const seen = await fleet.observe(watched.map((row) => wishOf(this.#record, row, now)));
    const changed = watched.flatMap((row) => {
      const observation = seen.get(row.device);
      if (observation === undefined) return [];
      const next = observe(row, observation, patience, now);
      return next === row ? [] : [next];
    });
    if (changed.length === 0) return;
    await store.commit({ record: this.#record, expected: this.#record.decisions, devices: changed, wishes: [] });
    this.#keep(changed);
  }

  /** Tells the next devices; their wishes are stored with their new status, then issued. */
  async #tell(): Promise<void> {
    const { fleet, store, clock } = this.#deps;
    const record = this.#record;
    const now = clock.now();
    const back = isReturning(record.state);
    const next = back ? nextToRevert(record, this.rows).slice(0, TOLD_AT_ONCE) : await this.#toTell();
    if (next.length === 0) return;
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
    const local = schedule.windows.some((window) => window.time === 'device');
    const labels = local ? new Map((await fleet.members()).map((device) => [device.id, device.labels])) : undefined;
    const mayBeTold = deviceMayBeTold(schedule, now);
    const next = nextToTell(record, this.rows, (row) => labels === undefined || mayBeTold(labels.get(row.device) ?? {})).slice(
      0,
      TOLD_AT_ONCE,
    );
    const unknown = next.filter((row) => row.toldAt === null);
    if (unknown.length === 0) return next;
    // What to go back to is read before the device is told anything else, and kept.
    const current = await fleet.current(
      record.document.model,
      unknown.map((row) => row.device),
    );
    return next.map((row) => (row.toldAt === null && row.previous === null ? { ...row, previous: current.get(row.device) ?? null } : row));
  }

  #keep(rows: readonly RolloutDevice[]): void {
    for (const row of rows) this.#rows.set(row.device, row);
    if (rows.length > 0) this.#list = undefined;
  }

  #warnNearLimit(results: readonly GateResult[]): void {
    const key = (result: GateResult): string => `${this.#record.wave}/${result.gate}`;
    const near = results.filter((result) => result.alarm >= NEAR_LIMIT && result.alarm < 1 && !this.#near.has(key(result)));
    if (near.length === 0) return;
    for (const result of near) this.#near.add(key(result));
    const reasons = near.map((result) => `${result.gate}: ${result.reason}`);
    this.#deps.alerts.notify(nearLimitAlert(this.#record, this.#deps.clock.now(), reasons));
  }

  #checkRole(actor: Actor): void {
    const role = this.#record.plan.waves[this.#record.wave]?.approval ?? null;
    if (role !== null && actor.role !== role && actor.role !== 'admin') {
      throw new SkerryError('ROLLOUT_ROLE', `this wave has to be approved by somebody with the role ${role}`, { details: { role } });
    }
  }
}
