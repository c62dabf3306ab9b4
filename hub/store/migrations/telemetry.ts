import type { Kysely } from 'kysely';
import { required, type SqlTypes } from '../dialect.js';

/** Measurements, events and what was counted already (hub/store/tables/telemetry-tables.ts). */
export async function createTelemetryTables(db: Kysely<unknown>, types: SqlTypes): Promise<void> {
  await db.schema
    .createTable('ingest_seen')
    .addColumn('device', 'text', required)
    .addColumn('boot', 'bigint', required)
    .addColumn('ranges', 'text', required)
    .addPrimaryKeyConstraint('ingest_seen_key', ['device', 'boot'])
    .execute();
  await db.schema
    .createTable('metrics_model')
    .addColumn('model', 'text', required)
    .addColumn('version', 'bigint', required)
    .addColumn('bucket', 'bigint', required)
    .addColumn('signals', types.bytes, required)
    .addPrimaryKeyConstraint('metrics_model_key', ['model', 'version', 'bucket'])
    .execute();
  await db.schema.createIndex('metrics_model_bucket').on('metrics_model').column('bucket').execute();
  await db.schema
    .createTable('metrics_device')
    .addColumn('device', 'text', required)
    .addColumn('model', 'text', required)
    .addColumn('version', 'bigint', required)
    .addColumn('bucket', 'bigint', required)
    .addColumn('signals', types.bytes, required)
    .addPrimaryKeyConstraint('metrics_device_key', ['device', 'model', 'version', 'bucket'])
    .execute();
  await db.schema.createIndex('metrics_device_bucket').on('metrics_device').column('bucket').execute();
  await db.schema
    .createTable('metrics_total')
    .addColumn('model', 'text', required)
    .addColumn('version', 'bigint', required)
    .addColumn('signals', types.bytes, required)
    .addPrimaryKeyConstraint('metrics_total_key', ['model', 'version'])
    .execute();
  await db.schema
    .createTable('device_health')
    .addColumn('device', 'text', (column) => column.primaryKey())
    .addColumn('at', 'bigint', required)
    .addColumn('health', 'text', required)
    .execute();
  await createEventsTable(db, types);
}

async function createEventsTable(db: Kysely<unknown>, types: SqlTypes): Promise<void> {
  await types
    .identity(db.schema.createTable('events'), 'id')
    .addColumn('device', 'text', required)
    .addColumn('boot', 'bigint', required)
    .addColumn('seq', 'bigint', required)
    .addColumn('at', 'bigint', required)
    .addColumn('received_at', 'bigint', required)
    .addColumn('kind', 'text', required)
    .addColumn('model', 'text')
    .addColumn('version', 'bigint')
    .addColumn('code', 'text')
    .addColumn('message', 'text')
    .addColumn('detail', 'text')
    .execute();
  await db.schema.createIndex('events_device').on('events').columns(['device', 'id']).execute();
  await db.schema.createIndex('events_model').on('events').columns(['model', 'version', 'id']).execute();
  await db.schema.createIndex('events_received').on('events').column('received_at').execute();
}
