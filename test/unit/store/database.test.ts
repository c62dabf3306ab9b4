import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '#hub/store/open.js';
import { lockDataFolder } from '#hub/store/sqlite.js';
import { ERROR_CODES } from '#shared/kernel/error-registry.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import { coded } from '../../kit/coded.js';
import { recordingLogger } from '../../kit/recorder.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skerry-store-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('migrations run once, in the order of their names, and again change nothing', async () => {
  const { logger, lines } = recordingLogger();
  const first = await openDatabase(join(folder, 'hub.db'), logger);
  const names = lines.map((line) => String(line.fields['migration']));
  expect(names.length).toBeGreaterThanOrEqual(4);
  expect(names).toEqual(names.toSorted());
  await first.insertInto('models').values({ name: 'vad', created_at: 1 }).execute();
  await first.destroy();
  const second = await openDatabase(join(folder, 'hub.db'), logger);
  expect(lines).toHaveLength(names.length);
  expect(await second.selectFrom('models').selectAll().execute()).toEqual([{ name: 'vad', created_at: 1 }]);
  await second.destroy();
});

test('what a commit returned for survives a power cut, and references hold', async () => {
  const db = await openDatabase(join(folder, 'pragmas.db'), recordingLogger().logger);
  const pragma = async (name: string): Promise<unknown> => Object.values((await sql.raw(`pragma ${name}`).execute(db)).rows[0] ?? {})[0];
  expect([await pragma('journal_mode'), await pragma('synchronous'), await pragma('foreign_keys')]).toEqual(['wal', 2, 1]);
  await expect(db.insertInto('version_artifacts').values({ model: 'm', version: 1, digest: 'x' }).execute()).rejects.toThrow(/FOREIGN KEY/);
  await db.destroy();
});

test('a database that cannot be opened is named', async () => {
  await expect(openDatabase(join(folder, 'absent', 'hub.db'), recordingLogger().logger)).rejects.toEqual(
    coded('HUB_DATABASE_FAILED', 'absent'),
  );
});

test('a data folder has one hub at a time', () => {
  const release = lockDataFolder(join(folder, 'hub.lock'));
  expect(() => lockDataFolder(join(folder, 'hub.lock'))).toThrow(coded('HUB_DATA_IN_USE'));
  release();
  lockDataFolder(join(folder, 'hub.lock'))();
});

test('24 W: a database that a later hub migrated names the release to use, and is left as it is', async () => {
  const file = join(folder, 'newer.db');
  const first = await openDatabase(file, recordingLogger().logger);
  await sql`insert into kysely_migration (name, timestamp) values ('9999_later', '2030-01-01')`.execute(first);
  await first.insertInto('releases').values({ release: '7.1.0', at: 1 }).execute();
  await first.destroy();
  await expect(openDatabase(file, recordingLogger().logger)).rejects.toEqual(
    coded('HUB_DATABASE_NEWER', 'use Skerry 7.1.0 or a later one'),
  );
  expect(ERROR_CODES.HUB_DATABASE_NEWER.action).toMatch(/Do not restore/);
  const raw = new Sqlite(file);
  raw.exec("delete from kysely_migration where name = '9999_later'");
  raw.close();
  const again = await openDatabase(file, recordingLogger().logger);
  expect(await again.selectFrom('releases').select('release').orderBy('id').execute()).toEqual(
    [SKERRY_VERSION, '7.1.0', SKERRY_VERSION].map((release) => ({ release })),
  );
  await again.destroy();
});

test('24 W: without a note of the release the refusal still is no reason to restore', async () => {
  const file = join(folder, 'unnamed.db');
  const first = await openDatabase(file, recordingLogger().logger);
  await sql`insert into kysely_migration (name, timestamp) values ('9999_later', '2030-01-01')`.execute(first);
  await sql`drop table releases`.execute(first);
  await first.destroy();
  await expect(openDatabase(file, recordingLogger().logger)).rejects.toEqual(coded('HUB_DATABASE_NEWER', 'the release that migrated it'));
});

test('a long row of queries leaves the event loop its turns, inside a transaction as well, and more statements than are kept still work', async () => {
  const db = await openDatabase(join(folder, 'turns.db'), recordingLogger().logger);
  let turns = 0;
  let next = setImmediate(function count(): void {
    turns++;
    next = setImmediate(count);
  });
  await db.transaction().execute(async (trx) => {
    for (let i = 0; i < 3_000; i++) {
      await trx
        .insertInto('models')
        .values({ name: `m${i}`, created_at: i })
        .execute();
    }
  });
  clearImmediate(next);
  expect(turns).toBeGreaterThan(1);
  const counted = async (length: number): Promise<number> => {
    const names = Array.from({ length }, (_, index) => `m${index}`);
    return (await db.selectFrom('models').select('name').where('name', 'in', names).execute()).length;
  };
  const lengths = Array.from({ length: 600 }, (_, index) => index + 1);
  for (const length of [...lengths, ...lengths]) expect(await counted(length)).toBe(length);
  await db.destroy();
});
