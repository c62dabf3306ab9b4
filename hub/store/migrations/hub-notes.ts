import type { Kysely } from 'kysely';
import { required } from '../dialect.js';

/** What the hub keeps of itself beside its settings, by name (hub/store/tables/fleet-tables.ts). */
export async function createHubNotes(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('hub_notes')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('value', 'text', required)
    .execute();
}
