import { z } from 'zod';
import type { Db } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { AuditEntry } from './audit-entry.js';
import { RefusalSums } from './refusal-sums.js';
import type { AuditRecord } from './views.js';

interface AuditFilter {
  /** Only records before this id: the next page. */
  readonly before?: number;
  readonly actor?: string;
  readonly action?: string;
  readonly limit: number;
}

/** Who did what, when, to what, from where, and how it ended. Records are only ever added, and dropped by age. */
export class AuditLog {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #refusals = new RefusalSums();

  constructor(db: Db, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** A caller without a token was refused, or failed: recorded by itself, or with others as a sum when there are many. */
  async addRefusal(entry: AuditEntry): Promise<void> {
    for (const each of this.#refusals.take(entry, this.#clock.now())) await this.add(each);
  }

  /** Records the sum of refusals whose window is over; with `all`, what has come of one that is not, too. */
  async sumUp(all = false): Promise<void> {
    if (!all && !this.#refusals.isOver(this.#clock.now())) return;
    for (const sum of this.#refusals.end()) await this.add(sum);
  }

  async add(entry: AuditEntry): Promise<void> {
    await this.#db
      .insertInto('audit')
      .values({
        at: this.#clock.now(),
        actor: entry.actor,
        token_id: entry.tokenId ?? null,
        action: entry.action,
        target: entry.target.slice(0, 512),
        source: entry.source,
        outcome: entry.outcome,
        code: entry.code ?? null,
        request_id: entry.requestId,
        detail: entry.detail === undefined ? null : JSON.stringify(entry.detail),
      })
      .execute();
  }

  /** Newest first. */
  async list(filter: AuditFilter): Promise<AuditRecord[]> {
    let query = this.#db.selectFrom('audit').selectAll().orderBy('id', 'desc').limit(filter.limit);
    if (filter.before !== undefined) query = query.where('id', '<', filter.before);
    if (filter.actor !== undefined) query = query.where('actor', '=', filter.actor);
    if (filter.action !== undefined) query = query.where('action', '=', filter.action);
    const rows = await query.execute();
    return rows.map((row) => ({
      id: row.id,
      at: new Date(row.at).toISOString(),
      actor: row.actor,
      tokenId: row.token_id,
      action: row.action,
      target: row.target,
      source: row.source,
      outcome: row.outcome,
      code: row.code,
      requestId: row.request_id,
      detail: row.detail === null ? null : z.record(z.string(), z.unknown()).parse(JSON.parse(row.detail)),
    }));
  }

  /** Drops records from before `at`; returns how many. */
  async purge(at: EpochMillis): Promise<number> {
    const result = await this.#db.deleteFrom('audit').where('at', '<', at).executeTakeFirst();
    return Number(result.numDeletedRows);
  }
}
