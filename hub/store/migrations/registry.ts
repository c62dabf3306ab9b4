import type { Kysely } from 'kysely';
import { required, type SqlTypes } from '../dialect.js';

/** Models, versions, artifacts and the files of the TUF repository (hub/store/tables/registry-tables.ts). */
export async function createRegistryTables(db: Kysely<unknown>, types: SqlTypes): Promise<void> {
  await db.schema
    .createTable('models')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('created_at', 'bigint', required)
    .execute();
  await db.schema
    .createTable('versions')
    .addColumn('model', 'text', (column) => column.notNull().references('models.name'))
    .addColumn('version', 'bigint', required)
    .addColumn('manifest_digest', 'text', required)
    .addColumn('manifest', types.bytes, required)
    .addColumn('content_identity', 'text', required)
    .addColumn('bytes', 'bigint', required)
    .addColumn('variants', 'text', required)
    .addColumn('role', 'text', required)
    .addColumn('published_at', 'bigint', required)
    .addColumn('accepted_at', 'bigint', required)
    .addColumn('publisher', 'text', required)
    .addPrimaryKeyConstraint('versions_key', ['model', 'version'])
    .execute();
  await db.schema.createIndex('versions_manifest').on('versions').column('manifest_digest').execute();
  await db.schema
    .createTable('artifacts')
    .addColumn('digest', 'text', (column) => column.primaryKey())
    .addColumn('length', 'bigint', required)
    .addColumn('stored_at', 'bigint', required)
    .execute();
  await db.schema
    .createTable('version_artifacts')
    .addColumn('model', 'text', required)
    .addColumn('version', 'bigint', required)
    .addColumn('digest', 'text', (column) => column.notNull().references('artifacts.digest'))
    .addPrimaryKeyConstraint('version_artifacts_key', ['model', 'version', 'digest'])
    .addForeignKeyConstraint('version_artifacts_version', ['model', 'version'], 'versions', ['model', 'version'])
    .execute();
  await db.schema.createIndex('version_artifacts_digest').on('version_artifacts').column('digest').execute();
  await db.schema
    .createTable('trust_files')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('content', types.bytes, required)
    .addColumn('stored_at', 'bigint', required)
    .execute();
}
