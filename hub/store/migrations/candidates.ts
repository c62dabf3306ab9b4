import type { Kysely } from 'kysely';
import type { SqlTypes } from '../dialect.js';

/** Versions beside the one that serves (hub/store/tables/fleet-tables.ts), and what gates look at besides errors and latency (hub/store/tables/telemetry-tables.ts). */
export async function addCandidates(db: Kysely<unknown>, types: SqlTypes): Promise<void> {
  await db.schema.alterTable('desired_models').addColumn('candidate', 'text').execute();
  await db.schema.alterTable('desired_models').addColumn('rollout', 'text').execute();
  await db.schema.alterTable('metrics_model').addColumn('signals', types.bytes).execute();
  await db.schema.alterTable('metrics_device').addColumn('signals', types.bytes).execute();
}
