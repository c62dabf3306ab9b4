import type { Kysely } from 'kysely';
import type { SqlTypes } from '../dialect.js';

/** Versions beside the one that serves (hub/store/tables/fleet-tables.ts). */
export async function addCandidates(db: Kysely<unknown>, _types: SqlTypes): Promise<void> {
  await db.schema.alterTable('desired_models').addColumn('candidate', 'text').execute();
  await db.schema.alterTable('desired_models').addColumn('rollout', 'text').execute();
}
