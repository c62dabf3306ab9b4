import { Kysely, Migrator } from 'kysely';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Database, Db } from './database.js';
import { migrationProvider } from './migrations/index.js';
import { sqliteDialect, sqliteTypes } from './sqlite.js';

/** Opens the hub's database and brings its tables up to date. `destroy()` on the result closes it. */
export async function openDatabase(file: string, logger: Logger): Promise<Db> {
  const db = new Kysely<Database>({ dialect: sqliteDialect(file) });
  try {
    await migrate(db, logger);
    return db;
  } catch (cause) {
    await db.destroy();
    throw cause;
  }
}

async function migrate(db: Db, logger: Logger): Promise<void> {
  const migrator = new Migrator({ db, provider: migrationProvider(sqliteTypes) });
  const { error, results } = await migrator.migrateToLatest();
  for (const result of results ?? []) {
    if (result.status === 'Success') logger.info({ migration: result.migrationName }, 'database migrated');
  }
  if (error !== undefined) {
    const failed = results?.find((result) => result.status === 'Error')?.migrationName;
    const reason = asSkerryError(error, 'HUB_DATABASE_FAILED');
    if (reason.code === 'DISK_FULL') throw reason;
    throw new SkerryError('HUB_DATABASE_FAILED', `the database could not be migrated${failed ? ` (${failed})` : ''}: ${reason.message}`, {
      cause: error,
    });
  }
}
