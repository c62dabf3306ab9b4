import Sqlite from 'better-sqlite3';
import { type DatabaseConnection, type SqliteDatabase, SqliteDialect, SqliteDriver, type SqliteStatement } from 'kysely';

import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { nextTurn, TurnBudget } from '#shared/kernel/turns.js';
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

class HubSqliteDriver extends SqliteDriver {
  readonly #database: Sqlite.Database;
  readonly #turn = new TurnBudget();

  constructor(database: Sqlite.Database) {
    super({ database: keepingStatements(database) });
    this.#database = database;
  }

  /** SQLite answers without ever leaving this thread, so in a long row of queries the event loop gets a turn now and then. */
  override async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await super.acquireConnection();
    return {
      executeQuery: async (query) => {
        if (this.#turn.isSpent()) await nextTurn();
        return connection.executeQuery(query);
      },
      streamQuery: (query, chunkSize) => connection.streamQuery(query, chunkSize),
    };
  }

  /**
   * SQLite rolls a transaction back by itself when the disk is full (sqlite.org/lang_transaction.html, "Response To Errors Within
   * A Transaction"). A second roll-back fails, and its error would hide the reason.
   */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.inTransaction) await super.rollbackTransaction(connection);
  }
}

/** Compiled statements kept. A query by a list has one for each length of the list. */
const STATEMENTS = 512;

/** Compiling a statement takes longer than most queries: those used last are kept. */
function keepingStatements(database: Sqlite.Database): SqliteDatabase {
  const kept = new Map<string, SqliteStatement>();
  return {
    close: () => database.close(),
    prepare: (text) => {
      const statement = kept.get(text) ?? database.prepare(text);
      kept.delete(text);
      kept.set(text, statement);
      const [oldest] = kept.size > STATEMENTS ? kept.keys() : [];
      if (oldest !== undefined) kept.delete(oldest);
      return statement;
    },
  };
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
