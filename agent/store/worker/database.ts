import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { asSkerryError, errnoOf, hasCode, SkerryError } from '#shared/kernel/errors.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { isReadOnly } from '../read-only.js';
import { MIGRATIONS } from './migrations.js';
import { copyToMemory } from './read-only-copy.js';
import { salvage } from './salvage.js';
import { keepCopy, newerPath, takeBack } from './schema-copy.js';

const DATABASE_FILE = 'agent.db';
/** The release that migrated the database last. */
const RELEASE_KEY = 'store.release';

interface OpenedDatabase {
  readonly db: Database.Database;
  /** Set when a damaged database was moved aside. */
  readonly recovery?: { readonly error: SkerryError; readonly movedTo: string };
}

/**
 * Opens (or creates) the agent's database in `folder`: integrity checked, migrated, every commit synced to disk. One that is
 * damaged is moved aside, never overwritten; what can be read of it is carried over. Throws `STORE_LOCKED`, `STORE_NEWER`,
 * `DISK_FULL`, `IO_FAILED`.
 */
export function openDatabase(folder: string, now: number, migrations: readonly string[] = MIGRATIONS): OpenedDatabase {
  const path = join(folder, DATABASE_FILE);
  if (existsSync(path) && isReadOnly(folder)) return openInMemory(path, migrations);
  mkdirSync(folder, { recursive: true });
  try {
    const db = openChecked(path, migrations);
    // The power went while the copy of an older agent took this one's place: what was added since is still to be carried over.
    return existsSync(newerPath(path)) ? carryOver(path, db, 'a newer agent had migrated the database') : { db };
  } catch (cause) {
    if (hasCode(cause, 'STORE_NEWER')) return openCopy(path, migrations, cause);
    if (!isDamage(cause)) throw translate(cause, folder);
    const movedTo = moveAside(path, now);
    const db = openChecked(path, migrations);
    const carried = salvage(movedTo, db);
    const error = new SkerryError('STORE_CORRUPT', `${path} is damaged and was moved to ${movedTo}; ${carried} rows were carried over`, {
      cause,
      details: { movedTo, carried },
    });
    return { db, recovery: { error, movedTo } };
  }
}

/** On a disk that takes no writes: everything works, and nothing outlives the process. */
function openInMemory(path: string, migrations: readonly string[]): OpenedDatabase {
  const db = copyToMemory(path);
  const report = db.pragma('integrity_check(1)', { simple: true });
  if (report !== 'ok') throw new SkerryError('STORE_CORRUPT', `integrity check of ${path}: ${String(report)}`);
  migrate(db, path, migrations);
  const message = `the disk of ${path} is read-only: the agent serves what it has, and keeps nothing new beyond its end`;
  return { db, recovery: { error: new SkerryError('STORE_READ_ONLY', message), movedTo: path } };
}

/**
 * A newer agent migrated the database and then made room for this one again: the copy it made before takes its place, and what
 * was added since is carried over as far as it has the shape known here. Without a copy the refusal stands.
 */
function openCopy(path: string, migrations: readonly string[], refusal: SkerryError): OpenedDatabase {
  if (!takeBack(path, migrations.length)) throw refusal;
  return carryOver(path, openChecked(path, migrations), refusal.message);
}

function carryOver(path: string, db: Database.Database, why: string): OpenedDatabase {
  const carried = salvage(newerPath(path), db, 'newer');
  rmSync(newerPath(path), { force: true });
  const message = `${why}; the copy it made before is used again, with ${carried} newer rows`;
  return { db, recovery: { error: new SkerryError('STORE_ROLLED_BACK', message, { details: { carried } }), movedTo: path } };
}

function openChecked(path: string, migrations: readonly string[]): Database.Database {
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
    migrate(db, path, migrations);
    return db;
  } catch (cause) {
    db.close();
    throw cause;
  }
}

function migrate(db: Database.Database, path: string, migrations: readonly string[]): void {
  const current = Number(db.pragma('user_version', { simple: true }));
  if (current > migrations.length) {
    const release = lastRelease(db);
    const wanted = release === undefined ? '' : `; agent ${release} migrated it, use that release or a later one`;
    throw new SkerryError('STORE_NEWER', `the database has schema ${current}, this agent knows up to ${migrations.length}${wanted}`);
  }
  if (current === migrations.length) return;
  // The agent before this one may have to run again, and cannot read what comes now.
  if (current > 0 && !db.memory) keepCopy(db, path, current);
  db.transaction(() => {
    for (const [index, sql] of migrations.entries()) {
      if (index >= current) db.exec(sql);
    }
    db.pragma(`user_version = ${migrations.length}`);
    // The table is in every schema; an older agent reads this to say which release it takes.
    db.prepare('INSERT OR REPLACE INTO kv (key, value) VALUES (?, ?)').run(RELEASE_KEY, SKERRY_VERSION);
  }).exclusive();
}

function lastRelease(db: Database.Database): string | undefined {
  const value: unknown = db.prepare('SELECT value FROM kv WHERE key = ?').pluck().get(RELEASE_KEY);
  return typeof value === 'string' ? value : undefined;
}

function isDamage(cause: unknown): boolean {
  const code = errnoOf(cause);
  return code === 'STORE_CORRUPT' || code === 'SQLITE_NOTADB' || (code?.startsWith('SQLITE_CORRUPT') ?? false);
}

function translate(cause: unknown, folder: string): SkerryError {
  if (errnoOf(cause)?.startsWith('SQLITE_BUSY') === true) {
    return new SkerryError('STORE_LOCKED', `another process uses ${folder}`, { cause });
  }
  if (cause instanceof SkerryError) return cause;
  const { code, message } = asSkerryError(cause, 'IO_FAILED');
  return new SkerryError(code, `the database in ${folder} cannot be used: ${message}`, { cause });
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
