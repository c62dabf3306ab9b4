import type { Kysely } from 'kysely';
import { required, type SqlTypes } from '../dialect.js';

/** Devices, enrolment tokens, deployments and desired states (hub/store/tables/fleet-tables.ts). */
export async function createFleetTables(db: Kysely<unknown>, types: SqlTypes): Promise<void> {
  await db.schema
    .createTable('devices')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('public_key', 'text', (column) => column.notNull().unique())
    .addColumn('device_labels', 'text', required)
    .addColumn('hub_labels', 'text', required)
    .addColumn('labels', 'text', required)
    .addColumn('capabilities', 'text', required)
    .addColumn('agent_version', 'text', required)
    .addColumn('password_sha256', 'text', required)
    .addColumn('password_mosquitto', 'text', required)
    .addColumn('token_id', 'text', required)
    .addColumn('enrolled_at', 'bigint', required)
    .addColumn('revoked_at', 'bigint')
    .execute();
  await db.schema
    .createTable('device_states')
    .addColumn('device', 'text', (column) => column.primaryKey().references('devices.id'))
    .addColumn('reported', 'text')
    .addColumn('reported_boot', 'bigint', required)
    .addColumn('reported_at', 'bigint', required)
    .addColumn('reported_received_at', 'bigint')
    .addColumn('presence', 'text')
    .addColumn('presence_session', 'text')
    .addColumn('presence_boot', 'bigint', required)
    .addColumn('presence_connection', 'bigint', required)
    .addColumn('presence_changed_at', 'bigint')
    .execute();
  await db.schema
    .createTable('enrolment_tokens')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', required)
    .addColumn('secret_sha256', 'text', (column) => column.notNull().unique())
    .addColumn('labels', 'text', required)
    .addColumn('max_uses', 'bigint', required)
    .addColumn('uses', 'bigint', required)
    .addColumn('expires_at', 'bigint', required)
    .addColumn('created_at', 'bigint', required)
    .addColumn('created_by', 'text', required)
    .addColumn('revoked_at', 'bigint')
    .execute();
  await types
    .identity(db.schema.createTable('deployments'), 'id')
    .addColumn('model', 'text', required)
    .addColumn('version', 'bigint', required)
    .addColumn('manifest_digest', 'text', required)
    .addColumn('selector', 'text', required)
    .addColumn('attempt', 'bigint', required)
    .addColumn('created_at', 'bigint', required)
    .addColumn('created_by', 'text', required)
    .execute();
  await db.schema.createIndex('deployments_model').on('deployments').columns(['model', 'id']).execute();
  await createDesiredTables(db, types);
}

async function createDesiredTables(db: Kysely<unknown>, types: SqlTypes): Promise<void> {
  await db.schema
    .createTable('desired_models')
    .addColumn('device', 'text', (column) => column.notNull().references('devices.id'))
    .addColumn('model', 'text', required)
    .addColumn('version', 'bigint', required)
    .addColumn('manifest_digest', 'text', required)
    .addColumn('attempt', 'bigint', required)
    .addColumn('source', 'text', required)
    .addColumn('decided_at', 'bigint', required)
    .addPrimaryKeyConstraint('desired_models_key', ['device', 'model'])
    .execute();
  await db.schema.createIndex('desired_models_source').on('desired_models').column('source').execute();
  await db.schema
    .createTable('desired_states')
    .addColumn('device', 'text', (column) => column.primaryKey().references('devices.id'))
    .addColumn('counter', 'bigint', required)
    .addColumn('envelope', types.bytes, required)
    .addColumn('content_sha256', 'text', required)
    .addColumn('key_id', 'text', required)
    .addColumn('issued_at', 'bigint', required)
    .addColumn('expires_at', 'bigint', required)
    .execute();
  await db.schema.createIndex('desired_states_expiry').on('desired_states').column('expires_at').execute();
}
