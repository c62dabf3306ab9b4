import type { Kysely } from 'kysely';
import { required, type SqlTypes } from '../dialect.js';

/**
 * What lets rollouts read only what is new: a number for every change of a device's measurements (hub/store/tables/telemetry-tables.ts) and
 * of its state (hub/store/tables/fleet-tables.ts), and what each device did before a rollout (hub/store/tables/rollout-tables.ts).
 */
export async function addIncremental(db: Kysely<unknown>, _types: SqlTypes): Promise<void> {
  const zero = (column: Parameters<typeof required>[0]) => column.notNull().defaultTo(0);
  await db.schema.alterTable('metrics_device').addColumn('changed', 'bigint', zero).execute();
  await db.schema.createIndex('metrics_device_changed').on('metrics_device').columns(['model', 'changed']).execute();
  await db.schema
    .createTable('metrics_changes')
    .addColumn('model', 'text', (column) => column.primaryKey())
    .addColumn('last', 'bigint', required)
    .execute();
  await db.schema.alterTable('device_states').addColumn('revision', 'bigint', zero).execute();
  await db.schema
    .createTable('rollout_baselines')
    .addColumn('rollout', 'text', required)
    .addColumn('device', 'text', required)
    .addColumn('begun', 'bigint', required)
    .addColumn('baseline', 'text', required)
    .addPrimaryKeyConstraint('rollout_baselines_key', ['rollout', 'device'])
    .execute();
}
