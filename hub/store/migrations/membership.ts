import type { Kysely } from 'kysely';

/** Why devices are out of a rollout, and deployments that are not for everybody they match (hub/store/tables/rollout-tables.ts, hub/store/tables/fleet-tables.ts). */
export async function addMembership(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('rollout_devices').addColumn('released_why', 'text').execute();
  await db.schema.alterTable('rollout_devices').addColumn('released_at', 'bigint').execute();
  await db.schema.alterTable('deployments').addColumn('excluded', 'text').execute();
}
