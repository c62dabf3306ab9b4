import type { Kysely } from 'kysely';
import { required, type SqlTypes } from '../dialect.js';

/** Which releases worked with the database: an older one that cannot read it names the newest (hub/store/open.ts). */
export async function createReleasesTable(db: Kysely<unknown>, types: SqlTypes): Promise<void> {
  await types
    .identity(db.schema.createTable('releases'), 'id')
    .addColumn('release', 'text', required)
    .addColumn('at', 'bigint', required)
    .execute();
}
