import type { Kysely } from 'kysely';

/** Deployments that completed rollouts leave behind, and those taken back (hub/store/tables/fleet-tables.ts). */
export async function addStanding(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('deployments').addColumn('rollout', 'text').execute();
  await db.schema.alterTable('deployments').addColumn('withdrawn_at', 'bigint').execute();
  await db.schema.createIndex('deployments_rollout').on('deployments').column('rollout').execute();
  await db.schema.createIndex('rollout_devices_device').on('rollout_devices').column('device').execute();
}
