import { type Kysely, sql } from 'kysely';
import { required, type SqlTypes } from '../dialect.js';

/** Deployments that take a model off, who withdrew one, and versions that were deleted (hub/store/tables/fleet-tables.ts, hub/store/tables/registry-tables.ts). */
export async function addUndoing(db: Kysely<unknown>, types: SqlTypes): Promise<void> {
  await types
    .identity(db.schema.createTable('deployments_next'), 'id')
    .addColumn('model', 'text', required)
    .addColumn('version', 'bigint')
    .addColumn('manifest_digest', 'text')
    .addColumn('selector', 'text', required)
    .addColumn('attempt', 'bigint', required)
    .addColumn('created_at', 'bigint', required)
    .addColumn('created_by', 'text', required)
    .addColumn('rollout', 'text')
    .addColumn('withdrawn_at', 'bigint')
    .addColumn('excluded', 'text')
    .addColumn('withdrawn_by', 'text')
    .execute();
  await sql`insert into deployments_next (id, model, version, manifest_digest, selector, attempt, created_at, created_by, rollout, withdrawn_at, excluded)
    select id, model, version, manifest_digest, selector, attempt, created_at, created_by, rollout, withdrawn_at, excluded from deployments`.execute(
    db,
  );
  await db.schema.dropTable('deployments').execute();
  await db.schema.alterTable('deployments_next').renameTo('deployments').execute();
  await db.schema.createIndex('deployments_model').on('deployments').columns(['model', 'id']).execute();
  await db.schema.createIndex('deployments_standing').on('deployments').columns(['withdrawn_at', 'id', 'model']).execute();
  await db.schema.createIndex('deployments_rollout').on('deployments').column('rollout').execute();
  await db.schema
    .createTable('deleted_versions')
    .addColumn('model', 'text', required)
    .addColumn('version', 'bigint', required)
    .addColumn('manifest_digest', 'text', required)
    .addColumn('role', 'text', required)
    .addColumn('deleted_at', 'bigint', required)
    .addColumn('deleted_by', 'text', required)
    .addPrimaryKeyConstraint('deleted_versions_key', ['model', 'version'])
    .execute();
}
