import { z } from 'zod';
import type { Db } from '#hub/store/database.js';
import type { Clock, EpochMillis } from '#shared/kernel/clock.js';
import type { AuditOutcome, AuditRecord } from './views.js';

export interface AuditEntry {
  readonly actor: string;
  readonly tokenId?: string;
  readonly action: string;
  readonly target: string;
  readonly source: string;
  readonly outcome: AuditOutcome;
  readonly code?: string;
  readonly requestId: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface AuditFilter {
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

  constructor(db: Db, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
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
