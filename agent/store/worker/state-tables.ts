import type Database from 'better-sqlite3';
import { z } from 'zod';
import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { narrow } from '#shared/kernel/json.js';
import type { ServingRecord, VersionRecord } from '../contract.js';
import { servingRow, versionRow } from './rows.js';

/** The tables `kv`, `versions` and `serving`. */
export class StateTables {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  get(key: string): string | undefined {
    const value = this.#db.prepare<[string]>('SELECT value FROM kv WHERE key = ?').pluck().get(key);
    return typeof value === 'string' ? value : undefined;
  }

  set(key: string, value: string): void {
    this.#db.prepare('INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value').run(key, value);
  }

  versions(): VersionRecord[] {
    const rows = this.#db.prepare<[]>('SELECT * FROM versions ORDER BY model, version').all();
    return narrow(z.array(versionRow), rows, 'table versions', 'STORE_CORRUPT').map((row) => {
      const { error_code: code, error_message: message, last_used_at: lastUsedAt, ...rest } = row;
      const record = { ...rest, lastUsedAt };
      return code === null ? record : { ...record, error: { code, message: message ?? '' } };
    });
  }

  putVersion(record: VersionRecord): void {
    this.#db
      .prepare(
        `INSERT OR REPLACE INTO versions (model, version, manifest, install, boots, attempt, error_code, error_message, last_used_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        record.model,
        record.version,
        record.manifest,
        record.install,
        record.boots,
        record.attempt,
        record.error?.code ?? null,
        record.error?.message ?? null,
        Math.trunc(record.lastUsedAt),
      );
  }

  deleteVersion(model: ModelName, version: VersionNumber): void {
    this.#db.prepare('DELETE FROM versions WHERE model = ? AND version = ?').run(model, version);
  }

  serving(): ServingRecord[] {
    const rows = this.#db.prepare<[]>('SELECT * FROM serving ORDER BY model').all();
    return narrow(z.array(servingRow), rows, 'table serving', 'STORE_CORRUPT').map((row) => ({
      model: row.model,
      serving: row.serving,
      lastKnownGood: row.last_known_good ?? undefined,
    }));
  }

  /** One transaction: after a power cut either nothing or all of it is true. */
  commitSwitch(serving: ServingRecord, records: readonly VersionRecord[]): void {
    this.#db.transaction(() => {
      this.#db
        .prepare('INSERT OR REPLACE INTO serving (model, serving, last_known_good) VALUES (?, ?, ?)')
        .run(serving.model, serving.serving, serving.lastKnownGood ?? null);
      for (const record of records) this.putVersion(record);
    })();
  }

  deleteServing(model: ModelName): void {
    this.#db.prepare('DELETE FROM serving WHERE model = ?').run(model);
  }
}
