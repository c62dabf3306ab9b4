import { type Kysely, sql } from 'kysely';

/** What each device may fetch (hub/fleet/fetch-rights.ts); hubs that have devices already begin with what those are to run. */
export async function addFetchRights(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('fetch_rights')
    .addColumn('device', 'text', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('version', 'bigint', (column) => column.notNull())
    .addColumn('told_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('fetch_rights_key', ['device', 'model', 'version'])
    .execute();
  await sql`insert into fetch_rights select device, model, version, decided_at from desired_models`.execute(db);
}
