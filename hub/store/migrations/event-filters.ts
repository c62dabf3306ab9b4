import type { Kysely } from 'kysely';

/** Events by kind or code, which are asked for over everything that is kept (hub/telemetry/events-query.ts). */
export async function addEventFilters(db: Kysely<unknown>): Promise<void> {
  await db.schema.createIndex('events_kind').on('events').columns(['kind', 'id']).execute();
  await db.schema.createIndex('events_code').on('events').columns(['code', 'id']).execute();
}
