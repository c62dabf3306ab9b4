import { randomBytes } from 'node:crypto';
import { parseSelector } from '#hub/fleet/selector.js';
import { minutes, type Millis, seconds } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import { whyIncapable } from './capability.js';
import { newRollout, newRow, type PlanDeps, prepare } from './create.js';
import type { RolloutDocument } from './document.js';
import { isActive, type OperatorEvent, ROLLOUT_STATES } from './machine.js';
import { type Plan, waveOfJoiner } from './plan.js';
import type { FleetPort } from './ports.js';
import type { Actor, RolloutDevice, RolloutRecord } from './record.js';
import { type Outlook, RolloutRunner, type RunnerDeps } from './runner.js';

export interface ControllerDeps extends RunnerDeps, Omit<PlanDeps, 'fleet'> {
  readonly fleet: FleetPort;
  /** How often rollouts look at reports and figures (default 5 s), and for devices that joined (default 1 min). */
  readonly every?: Millis;
  readonly joinEvery?: Millis;
  /** Names rollouts and fixes their slices; tests bring their own. */
  readonly newId?: () => string;
}

export interface CreateOptions {
  /** Record it and wait for `start`. */
  readonly draft?: boolean;
  /** End rollouts of the same model on the same devices where they stand, and take their devices over. */
  readonly supersede?: boolean;
}

/** States in which a rollout still looks at its devices by itself. */
const WATCHED = ROLLOUT_STATES.filter((state) => isActive(state) || state === 'completed');

/**
 * All rollouts of the hub. One thing at a time; what a rollout was doing when the hub ended goes on where it was, from the
 * database.
 */
export class RolloutController implements Service {
  readonly #deps: ControllerDeps;
  /** Rollouts to look at; `#runners` holds those read from the store. */
  readonly #ids = new Set<string>();
  readonly #runners = new Map<string, RolloutRunner>();
  #queue: Promise<unknown> = Promise.resolve();
  #cancel: () => void = () => undefined;
  #closed = false;
  #joinedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    await this.#exclusive(async () => {
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
    await this.#queue;
  }

  /** What a rollout would do to whom. */
  async plan(document: RolloutDocument): Promise<Plan> {
    return (await prepare(document, document.name ?? this.#newId(document), this.#deps)).plan;
  }

  /**
   * Records a new rollout. Throws `ROLLOUT_EMPTY`, and `ROLLOUT_OVERLAP` when another one of the model is under way on some
   * of the devices and `supersede` was not asked for.
   */
  create(document: RolloutDocument, actor: Actor, options: CreateOptions = {}): Promise<RolloutRecord> {
    return this.#exclusive(async () => {
      const { store, clock } = this.#deps;
      const id = this.#newId(document);
      const prepared = await prepare(document, id, this.#deps);
      const created = newRollout({ id, document, prepared, draft: options.draft === true, createdBy: actor.name, at: clock.now() });
      const devices = await this.#takeOver(document, created.devices, actor, options.supersede === true, id);
      await store.create(created.record, devices);
      return this.#settle(id);
    });
  }

  /** Something a person does to a rollout. */
  act(id: string, event: OperatorEvent, actor: Actor, reason = `${actor.name}: ${event}`): Promise<RolloutRecord> {
    return this.#exclusive(async () => {
      const runner = await this.#open(id);
      await runner.act(event, actor, reason);
      return this.#settle(id);
    });
  }

  /** The newest look at a rollout under way; `undefined` for one that is not watched any more. */
  outlook(id: string): Outlook | undefined {
    return this.#runners.get(id)?.outlook;
  }

  /** One look at every rollout under way. */
  tick(): Promise<void> {
    return this.#exclusive(async () => {
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
      if (join) await this.#join(runner);
      await runner.step();
      if (WATCHED.includes(runner.record.state)) return;
      this.#ids.delete(id);
    } catch (thrown) {
      this.#deps.logger.error({ rollout: id, cause: asSkerryError(thrown).message }, 'a rollout could not be looked at');
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

  /**
   * The rule for two rollouts of one model: only one is under way on a device. A newer one that was asked to supersede takes
   * over what to go back to; one that had completed just ends, so that devices joining later hear of the newest only.
   */
  async #takeOver(
    document: RolloutDocument,
    rows: RolloutDevice[],
    actor: Actor,
    supersede: boolean,
    id: string,
  ): Promise<RolloutDevice[]> {
    const wanted = new Set(rows.filter((row) => row.wave !== null).map((row) => row.device));
    const previous = new Map<string, RolloutDevice['previous']>();
    for (const other of await this.#deps.store.list(WATCHED)) {
      if (other.document.model !== document.model) continue;
      const runner = await this.#open(other.id);
      const shared = runner.rows.filter((row) => row.wave !== null && wanted.has(row.device));
      if (shared.length === 0) continue;
      if (!supersede && other.state !== 'completed') {
        throw new SkerryError(
          'ROLLOUT_OVERLAP',
          `rollout ${other.id} of ${document.model} is ${other.state} on ${shared.length} of these devices`,
          {
            details: { rollout: other.id, state: other.state, devices: shared.length },
          },
        );
      }
      for (const row of shared) if (row.toldAt !== null && other.state !== 'completed') previous.set(row.device, row.previous);
      await runner.act('supersede', actor, `superseded by ${id}`);
    }
    return rows.map((row) => ({ ...row, previous: previous.get(row.device) ?? null }));
  }

  async #join(runner: RolloutRunner): Promise<void> {
    const { record } = runner;
    const { document, plan } = record;
    const { fleet, registry, cohorts } = this.#deps;
    const text = typeof document.cohort === 'string' ? document.cohort : await cohorts.saved(document.cohort.saved);
    const cohort = parseSelector(text);
    const known = new Set(runner.rows.map((row) => row.device));
    const joining = (await fleet.members()).filter((device) => !known.has(device.id) && cohort.matches(device.labels));
    if (joining.length === 0) return;
    const { variants } = await registry.version(document.model, document.version);
    const able = joining.filter((device) => whyIncapable(variants, device.capabilities) === undefined);
    await runner.join(able.map((device) => newRow(device.id, waveOfJoiner(plan, device, parseSelector) ?? null)));
  }

  #newId(document: RolloutDocument): string {
    return this.#deps.newId?.() ?? `${document.name ?? `${document.model}-${document.version}`}-${randomBytes(4).toString('hex')}`;
  }

  #exclusive<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(task);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  #schedule(): void {
    this.#cancel = this.#deps.clock.schedule(this.#deps.every ?? seconds(5), () => {
      void this.tick().finally(() => {
        if (!this.#closed) this.#schedule();
      });
    });
  }
}
