import { type Kysely, sql } from 'kysely';
import { required, type SqlTypes } from '../dialect.js';

/**
 * Starts of devices by name, beside their number: what was counted of each (hub/store/tables/telemetry-tables.ts), which were heard and which
 * statement a device holds (hub/store/tables/fleet-tables.ts), and what the hub noticed of a device.
 */
export async function addDeviceStarts(db: Kysely<unknown>, _types: SqlTypes): Promise<void> {
  await db.schema
    .createTable('ingest_positions')
    .addColumn('device', 'text', required)
    .addColumn('boot', 'bigint', required)
    .addColumn('boot_id', 'text', required)
    .addColumn('ranges', 'text', required)
    .addColumn('counted_at', 'bigint', required)
    .addPrimaryKeyConstraint('ingest_positions_key', ['device', 'boot', 'boot_id'])
    .execute();
  await sql`INSERT INTO ingest_positions (device, boot, boot_id, ranges, counted_at) SELECT device, boot, '', ranges, 0 FROM ingest_seen`.execute(
    db,
  );
  await db.schema.dropTable('ingest_seen').execute();
  for (const column of ['presence_boot_id', 'reported_boot_id', 'starts']) {
    await db.schema.alterTable('device_states').addColumn(column, 'text').execute();
  }
  await db.schema
    .createTable('device_marks')
    .addColumn('device', 'text', (column) => column.notNull().references('devices.id'))
    .addColumn('mark', 'text', required)
    .addColumn('since', 'bigint', required)
    .addColumn('message', 'text', required)
    .addPrimaryKeyConstraint('device_marks_key', ['device', 'mark'])
    .execute();
}
