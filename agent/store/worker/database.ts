import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { MIGRATIONS } from './migrations.js';
import { salvage } from './salvage.js';

export const DATABASE_FILE = 'agent.db';

export interface OpenedDatabase {
  readonly db: Database.Database;
  /** Set when a damaged database was moved aside. */
  readonly recovery?: { readonly error: SkerryError; readonly movedTo: string };
}

/**
 * Opens (or creates) the agent's database in `folder`: integrity checked, migrated, every commit synced to disk. One that is
 * damaged is moved aside, never overwritten; what can be read of it is carried over. Throws `STORE_LOCKED`, `STORE_NEWER`,
 * `DISK_FULL`, `IO_FAILED`.
 */
export function openDatabase(folder: string, now: number): OpenedDatabase {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, DATABASE_FILE);
  try {
    return { db: openChecked(path) };
  } catch (cause) {
    if (!isDamage(cause)) throw translate(cause, folder);
    const movedTo = moveAside(path, now);
    const db = openChecked(path);
    const carried = salvage(movedTo, db);
    const error = new SkerryError('STORE_CORRUPT', `${path} is damaged and was moved to ${movedTo}; ${carried} rows were carried over`, {
      cause,
      details: { movedTo, carried },
    });
    return { db, recovery: { error, movedTo } };
  }
}

function openChecked(path: string): Database.Database {
  const db = new Database(path, { timeout: 2_000 });
  try {
    // One process owns the folder; the lock also spares the shared-memory file that WAL needs otherwise.
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('fullfsync = ON');
    db.pragma('journal_size_limit = 4194304');
    db.pragma('cache_size = -1024');
    db.pragma('temp_store = MEMORY');
    const report = db.pragma('integrity_check(1)', { simple: true });
    if (report !== 'ok') throw new SkerryError('STORE_CORRUPT', `integrity check of ${path}: ${String(report)}`);
    migrate(db);
    return db;
  } catch (cause) {
    db.close();
    throw cause;
  }
}

function migrate(db: Database.Database): void {
  const current = Number(db.pragma('user_version', { simple: true }));
  if (current > MIGRATIONS.length) {
    throw new SkerryError('STORE_NEWER', `the database has schema ${current}, this agent knows up to ${MIGRATIONS.length}`);
  }
  db.transaction(() => {
    for (const [index, sql] of MIGRATIONS.entries()) {
      if (index >= current) db.exec(sql);
    }
    if (current < MIGRATIONS.length) db.pragma(`user_version = ${MIGRATIONS.length}`);
  }).exclusive();
}

function isDamage(cause: unknown): boolean {
  const code = errnoOf(cause);
  return code === 'STORE_CORRUPT' || code === 'SQLITE_NOTADB' || (code?.startsWith('SQLITE_CORRUPT') ?? false);
}

function translate(cause: unknown, folder: string): SkerryError {
  if (errnoOf(cause)?.startsWith('SQLITE_BUSY') === true) {
    return new SkerryError('STORE_LOCKED', `another process uses ${folder}`, { cause });
  }
  return asSkerryError(cause, 'IO_FAILED');
}

/** The write-ahead log goes along: it may hold the newest commits. */
function moveAside(path: string, now: number): string {
  let target = `${path}.damaged-${now}`;
  for (let n = 1; existsSync(target); n += 1) target = `${path}.damaged-${now}-${n}`;
  renameSync(path, target);
  for (const suffix of ['-wal', '-shm']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
  }
  return target;
}
