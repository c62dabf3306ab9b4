import { Kysely, Migrator } from 'kysely';
import { expect, it } from 'vitest';
import type { Database } from '#hub/store/database.js';
import { migrationProvider } from '#hub/store/migrations/index.js';
import { sqliteDialect, sqliteTypes } from '#hub/store/sqlite.js';

it('a hub that had devices lets them go on fetching what serves and what runs beside it', async () => {
  const db = new Kysely<Database>({ dialect: sqliteDialect(':memory:') });
  const migrator = new Migrator({ db, provider: migrationProvider(sqliteTypes) });
  expect((await migrator.migrateTo('0009_event_filters')).error).toBeUndefined();
  const wish = { version: 1, manifest_digest: 'd', attempt: 1, source: 's', decided_at: 5, rollout: null };
  const wishes = Array.from({ length: 700 }, (_, i) => ({ ...wish, device: `cam-${i}`, model: 'vad' }));
  const said = { device_labels: '{}', hub_labels: '{}', labels: '{}', capabilities: '{}', agent_version: '0' };
  const secrets = { password_sha256: '', password_mosquitto: '', token_id: 'test', enrolled_at: 0, revoked_at: null };
  await db
    .insertInto('devices')
    .values(wishes.map(({ device }) => ({ id: device, public_key: device, ...said, ...secrets })))
    .execute();
  await db
    .insertInto('desired_models')
    .values(wishes.map((row, i) => ({ ...row, candidate: i === 0 ? null : JSON.stringify({ version: 2, action: 'shadow' }) })))
    .execute();
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  const rights = await db.selectFrom('fetch_rights').select(['device', 'version', 'told_at']).execute();
  expect(rights.filter((right) => right.version === 1)).toHaveLength(700);
  expect(rights.filter((right) => right.version === 2)).toHaveLength(699);
  expect(rights.filter((right) => right.device === 'cam-0' && right.version === 2)).toEqual([]);
  expect(new Set(rights.map((right) => right.told_at))).toEqual(new Set([5]));
  await db.destroy();
});
