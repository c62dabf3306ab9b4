import { Kysely, Migrator, sql } from 'kysely';
import { systemClock } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
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
  await refuseNewer(db, migrator);
  const { error, results } = await migrator.migrateToLatest();
  for (const result of results ?? []) {
    if (result.status === 'Success') logger.info({ migration: result.migrationName }, 'database migrated');
  }
  if (error === undefined) await noteRelease(db);
  else {
    const failed = results?.find((result) => result.status === 'Error')?.migrationName;
    const reason = asSkerryError(error, 'HUB_DATABASE_FAILED');
    if (reason.code === 'DISK_FULL') throw reason;
    throw new SkerryError('HUB_DATABASE_FAILED', `the database could not be migrated${failed ? ` (${failed})` : ''}: ${reason.message}`, {
      cause: error,
    });
  }
}

/** Throws `HUB_DATABASE_NEWER` for a database with migrations that only a later release knows; nothing is damaged then. */
async function refuseNewer(db: Db, migrator: Migrator): Promise<void> {
  const tables = new Set((await db.introspection.getTables({ withInternalKyselyTables: true })).map(({ name }) => name));
  if (!tables.has('kysely_migration')) return;
  const known = new Set((await migrator.getMigrations()).map(({ name }) => name));
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  const newer = rows.filter(({ name }) => !known.has(name));
  if (newer.length === 0) return;
  const release = tables.has('releases') ? await lastRelease(db) : undefined;
  const wanted = release === undefined ? 'the release that migrated it' : `Skerry ${release}`;
  throw new SkerryError(
    'HUB_DATABASE_NEWER',
    `a later release of the hub migrated the database (${newer.map(({ name }) => name).join(', ')}); this is Skerry ${SKERRY_VERSION}, use ${wanted} or a later one`,
    { details: { migrations: newer.map(({ name }) => name), release: release ?? null } },
  );
}

async function lastRelease(db: Db): Promise<string | undefined> {
  const row = await db.selectFrom('releases').select('release').orderBy('id', 'desc').limit(1).executeTakeFirst();
  return row?.release;
}

/** Keeps which release works with the database, so that an older one can name it. */
async function noteRelease(db: Db): Promise<void> {
  if ((await lastRelease(db)) === SKERRY_VERSION) return;
  await db.insertInto('releases').values({ release: SKERRY_VERSION, at: systemClock.now() }).execute();
}
