import { parseSelector } from '#hub/fleet/decide/selector.js';
import type { Db } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { SavedCohort } from './cohort-view.js';
import { isActive, ROLLOUT_STATES } from './decide/machine.js';
import type { CohortsPort, RolloutStore } from './ports.js';

/** Selectors saved under names. */
export class Cohorts implements CohortsPort {
  readonly #db: Db;
  readonly #rollouts: Pick<RolloutStore, 'list'>;
  readonly #clock: Clock;

  constructor(db: Db, rollouts: Pick<RolloutStore, 'list'>, clock: Clock) {
    this.#db = db;
    this.#rollouts = rollouts;
    this.#clock = clock;
  }

  async list(): Promise<SavedCohort[]> {
    const rows = await this.#db.selectFrom('cohorts').selectAll().orderBy('name').execute();
    return rows.map((row) => ({
      name: row.name,
      selector: row.selector,
      updatedAt: new Date(row.updated_at).toISOString(),
      updatedBy: row.updated_by,
    }));
  }

  async saved(name: string): Promise<string> {
    const row = await this.#db.selectFrom('cohorts').select('selector').where('name', '=', name).executeTakeFirst();
    if (row === undefined) throw new SkerryError('COHORT_UNKNOWN', `there is no cohort "${name}"`);
    return row.selector;
  }

  /** Saves or replaces; throws `SELECTOR_INVALID`, and `COHORT_IN_USE` where a rollout under way counts on another one of this name. */
  async save(name: string, text: string, by: string): Promise<SavedCohort> {
    const selector = parseSelector(text).toString();
    const before = await this.#db.selectFrom('cohorts').select('selector').where('name', '=', name).executeTakeFirst();
    if (before !== undefined && before.selector !== selector) await this.#requireUnused(name);
    const at = this.#clock.now();
    const row = { name, selector, updated_at: at, updated_by: by };
    await this.#db
      .insertInto('cohorts')
      .values(row)
      .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
      .execute();
    return { name, selector, updatedAt: new Date(at).toISOString(), updatedBy: by };
  }

  /** Throws `COHORT_UNKNOWN` and `COHORT_IN_USE`. */
  async remove(name: string): Promise<void> {
    await this.saved(name);
    await this.#requireUnused(name);
    await this.#db.deleteFrom('cohorts').where('name', '=', name).execute();
  }

  async #requireUnused(name: string): Promise<void> {
    for (const { id, document } of await this.#rollouts.list(ROLLOUT_STATES.filter(isActive))) {
      const used = [document.cohort, ...document.waves.map((wave) => wave.cohort)];
      if (used.some((cohort) => typeof cohort === 'object' && cohort.saved === name)) {
        throw new SkerryError('COHORT_IN_USE', `rollout ${id} uses the cohort "${name}"`, { details: { rollout: id } });
      }
    }
  }
}
