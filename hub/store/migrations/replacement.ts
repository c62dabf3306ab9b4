import type { Kysely } from 'kysely';
import { required } from '../dialect.js';

/** Devices that are replaced: tokens for one name, and the keys that had it before (hub/store/tables/fleet-tables.ts). */
export async function addReplacement(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('enrolment_tokens').addColumn('device', 'text').execute();
  await db.schema
    .createTable('retired_keys')
    .addColumn('public_key', 'text', (column) => column.primaryKey())
    .addColumn('device', 'text', required)
    .addColumn('retired_at', 'bigint', required)
    .execute();
}
