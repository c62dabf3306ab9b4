import type { Kysely } from 'kysely';
import { required, type SqlTypes } from '../dialect.js';

/** Rollouts, their devices and decisions, and saved cohorts (hub/store/tables/rollout-tables.ts). */
export async function createRolloutTables(db: Kysely<unknown>, types: SqlTypes): Promise<void> {
  await types
    .identity(db.schema.createTable('rollouts'), 'number')
    .addColumn('id', 'text', (column) => column.notNull().unique())
    .addColumn('model', 'text', required)
    .addColumn('version', 'bigint', required)
    .addColumn('state', 'text', required)
    .addColumn('decisions', 'bigint', required)
    .addColumn('record', 'text', required)
    .addColumn('plan', 'text', required)
    .addColumn('created_at', 'bigint', required)
    .execute();
  await db.schema.createIndex('rollouts_state').on('rollouts').column('state').execute();
  await db.schema
    .createTable('rollout_devices')
    .addColumn('rollout', 'text', (column) => column.notNull().references('rollouts.id'))
    .addColumn('device', 'text', required)
    .addColumn('place', 'bigint', required)
    .addColumn('wave', 'bigint')
    .addColumn('status', 'text', required)
    .addColumn('told_at', 'bigint')
    .addColumn('previous_version', 'bigint')
    .addColumn('previous_manifest', 'text')
    .addColumn('error_code', 'text')
    .addColumn('error_message', 'text')
    .addPrimaryKeyConstraint('rollout_devices_key', ['rollout', 'device'])
    .execute();
  await db.schema
    .createTable('rollout_decisions')
    .addColumn('rollout', 'text', (column) => column.notNull().references('rollouts.id'))
    .addColumn('number', 'bigint', required)
    .addColumn('at', 'bigint', required)
    .addColumn('event', 'text', required)
    .addColumn('actor', 'text', required)
    .addColumn('decision', 'text', required)
    .addPrimaryKeyConstraint('rollout_decisions_key', ['rollout', 'number'])
    .execute();
  await db.schema
    .createTable('cohorts')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('selector', 'text', required)
    .addColumn('updated_at', 'bigint', required)
    .addColumn('updated_by', 'text', required)
    .execute();
}
