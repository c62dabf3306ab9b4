import Sqlite from 'better-sqlite3';
import { type DatabaseConnection, SqliteDialect, SqliteDriver } from 'kysely';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import type { SqlTypes } from './dialect.js';

/** Table definition parts as SQLite wants them. */
export const sqliteTypes: SqlTypes = {
  bytes: 'blob',
  identity: (table, column) => table.addColumn(column, 'integer', (definition) => definition.primaryKey().autoIncrement()),
};

/**
 * Opens (or makes) the SQLite file. What a commit returned for survives a power cut: WAL with synchronous=FULL
 * (sqlite.org/pragma.html#pragma_synchronous).
 */
export function sqliteDialect(file: string): SqliteDialect {
  return new HubSqliteDialect(openSqlite(file));
}

class HubSqliteDialect extends SqliteDialect {
  readonly #database: Sqlite.Database;

  constructor(database: Sqlite.Database) {
    super({ database });
    this.#database = database;
  }

  override createDriver(): SqliteDriver {
    return new HubSqliteDriver(this.#database);
  }
}

/**
 * SQLite rolls a transaction back by itself when the disk is full (sqlite.org/lang_transaction.html, "Response To Errors Within
 * A Transaction"). A second roll-back fails, and its error would hide the reason.
 */
class HubSqliteDriver extends SqliteDriver {
  readonly #database: Sqlite.Database;

  constructor(database: Sqlite.Database) {
    super({ database });
    this.#database = database;
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.inTransaction) await super.rollbackTransaction(connection);
  }
}

function openSqlite(file: string): Sqlite.Database {
  try {
    const database = new Sqlite(file, { timeout: 5_000 });
    // Before the first table is made: pages of deleted rows can be given back to the file system (reclaim.ts).
    database.pragma('auto_vacuum = INCREMENTAL');
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('foreign_keys = ON');
    return database;
  } catch (cause) {
    throw databaseError(cause, `the database ${file} cannot be opened`);
  }
}

/**
 * Takes the exclusive right to a data folder by a transaction held open on a small file of its own, which the operating
 * system ends with the process however it dies. Returns the release. Throws `HUB_DATA_IN_USE` when another process has it.
 */
export function lockDataFolder(file: string): () => void {
  const database = new Sqlite(file, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (errnoOf(cause)?.startsWith('SQLITE_BUSY') === true) {
      throw new SkerryError('HUB_DATA_IN_USE', `another hub is running on ${file}`, { cause });
    }
    throw databaseError(cause, `the lock ${file} cannot be taken`);
  }
  return () => database.close();
}

function databaseError(cause: unknown, what: string): SkerryError {
  const error = asSkerryError(cause, 'HUB_DATABASE_FAILED');
  return error.code === 'DISK_FULL' ? error : new SkerryError('HUB_DATABASE_FAILED', `${what}: ${error.message}`, { cause });
}
