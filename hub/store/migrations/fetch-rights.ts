import { type Kysely, sql } from 'kysely';
import { z } from 'zod';

/** Rows in one statement. */
const ROWS = 500;

/** What is read here of a version that a device has beside the one that serves. */
const candidateSchema = z.object({ version: z.int() });

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
  await addCandidateRights(db);
}

/** Versions beside those: their column holds JSON, which every database reads in its own way. */
async function addCandidateRights(db: Kysely<unknown>): Promise<void> {
  const wishes = await sql<{ device: string; model: string; candidate: string; decided_at: number }>`
    select device, model, candidate, decided_at from desired_models where candidate is not null`.execute(db);
  const rights = wishes.rows.map(
    ({ device, model, candidate, decided_at: at }) =>
      sql`(${device}, ${model}, ${candidateSchema.parse(JSON.parse(candidate)).version}, ${at})`,
  );
  for (let start = 0; start < rights.length; start += ROWS) {
    await sql`insert into fetch_rights (device, model, version, told_at)
      values ${sql.join(rights.slice(start, start + ROWS))} on conflict do nothing`.execute(db);
  }
}
