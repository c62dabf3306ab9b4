import type { Kysely } from 'kysely';
import { required, type SqlTypes } from '../dialect.js';

/** API tokens and the audit log (hub/store/tables/api-tables.ts). */
export async function createApiTables(db: Kysely<unknown>, types: SqlTypes): Promise<void> {
  await db.schema
    .createTable('api_tokens')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', required)
    .addColumn('role', 'text', required)
    .addColumn('secret_sha256', 'text', (column) => column.notNull().unique())
    .addColumn('created_at', 'bigint', required)
    .addColumn('created_by', 'text', required)
    .addColumn('expires_at', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .execute();
  await types
    .identity(db.schema.createTable('audit'), 'id')
    .addColumn('at', 'bigint', required)
    .addColumn('actor', 'text', required)
    .addColumn('token_id', 'text')
    .addColumn('action', 'text', required)
    .addColumn('target', 'text', required)
    .addColumn('source', 'text', required)
    .addColumn('outcome', 'text', required)
    .addColumn('code', 'text')
    .addColumn('request_id', 'text', required)
    .addColumn('detail', 'text')
    .execute();
  await db.schema.createIndex('audit_at').on('audit').column('at').execute();
}
