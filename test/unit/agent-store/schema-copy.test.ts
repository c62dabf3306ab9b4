import { readdirSync } from 'node:fs';
import { copyFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '#agent/store/worker/database.js';
import { dropCopies } from '#agent/store/worker/schema-copy.js';
import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import { coded } from '../../kit/coded.js';
import { tempFolder } from '../../kit/temp-folder.js';

const NEWER = [...MIGRATIONS, 'ALTER TABLE kv ADD COLUMN note TEXT; CREATE TABLE later (x INTEGER) STRICT;'];
const schema = `agent.db.schema-${MIGRATIONS.length}`;

/** An agent of this release wrote `a`, a newer one migrated and wrote `b`; then it ended, in order or not. */
async function migrated(end: 'closed' | 'killed'): Promise<string> {
  const folder = await tempFolder();
  const old = openDatabase(folder, 1);
  old.db.prepare("INSERT INTO kv (key, value) VALUES ('a', 'old')").run();
  old.db.prepare("INSERT INTO outbox (boot, kind, payload) VALUES (1, 'event', ?)").run(Buffer.from('{}'));
  old.db.close();
  const { db } = openDatabase(folder, 2, NEWER);
  db.prepare("UPDATE kv SET value = 'new' WHERE key = 'a'").run();
  db.prepare("INSERT INTO kv (key, value, note) VALUES ('b', 'new', 'n')").run();
  db.prepare('DELETE FROM outbox').run();
  db.prepare("INSERT INTO outbox (boot, kind, payload) VALUES (2, 'event', ?)").run(Buffer.from('{}'));
  if (end === 'closed') {
    db.close();
    return folder;
  }
  // What a killed process leaves: the database with its log beside it.
  const killed = await tempFolder();
  for (const name of readdirSync(folder)) await copyFile(path.join(folder, name), path.join(killed, name));
  db.close();
  return killed;
}

describe('a database that a newer agent migrated', () => {
  it.each(['closed', 'killed'] as const)('is taken back by the agent before it, from the copy (%s)', async (end) => {
    const folder = await migrated(end);
    expect(readdirSync(folder)).toContain(schema);
    const { db, recovery } = openDatabase(folder, 3);
    expect(recovery?.error.code).toBe('STORE_ROLLED_BACK');
    // What the newer one wrote and added: no counter falls. The outbox as it left it: what the hub has is not sent again.
    expect(db.prepare("SELECT key, value FROM kv WHERE key <> 'store.release' ORDER BY key").all()).toEqual([
      { key: 'a', value: 'new' },
      { key: 'b', value: 'new' },
    ]);
    expect(db.prepare('SELECT boot, seq FROM outbox').all()).toEqual([{ boot: 2, seq: 2 }]);
    expect(db.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length);
    db.close();
    expect(
      readdirSync(folder)
        .filter((name) => name.startsWith('agent.db'))
        .sort(),
    ).toEqual(['agent.db']);
    // And a later try migrates it again.
    const again = openDatabase(folder, 4, NEWER);
    expect(again.recovery).toBeUndefined();
    again.db.close();
  });

  it('lets no number fall, although the copy is two migrations old', async () => {
    const folder = await tempFolder();
    const write = (at: number, migrations?: readonly string[]): void => {
      const { db } = openDatabase(folder, at, migrations);
      db.prepare("INSERT OR REPLACE INTO kv (key, value) VALUES ('desired', ?)").run(`counter ${at}`);
      db.prepare("INSERT OR REPLACE INTO counters (name, value) VALUES ('boot', ?)").run(at);
      db.close();
    };
    write(1);
    write(2, NEWER);
    write(3, [...NEWER, 'CREATE TABLE still_later (x INTEGER) STRICT;']);
    const { db } = openDatabase(folder, 4);
    expect(db.prepare("SELECT value FROM kv WHERE key = 'desired'").pluck().get()).toBe('counter 3');
    expect(db.prepare("SELECT value FROM counters WHERE name = 'boot'").pluck().get()).toBe(3);
    db.close();
  });

  it('is refused where there is no copy, and left as it is', async () => {
    const folder = await migrated('closed');
    await rm(path.join(folder, schema));
    expect(() => openDatabase(folder, 3)).toThrow(coded('STORE_NEWER'));
    const { db } = openDatabase(folder, 4, NEWER);
    expect(db.prepare("SELECT count(*) AS n FROM kv WHERE key <> 'store.release'").get()).toEqual({ n: 2 });
    db.close();
  });

  it.each([
    ['before the copy took its place', 'agent.db'],
    ['after that, before anything was carried over', schema],
  ])('is taken back after a power cut in the middle of it: %s', async (_when, first) => {
    const folder = await migrated('closed');
    const at = (name: string): string => path.join(folder, name);
    await copyFile(at('agent.db'), at('agent.db.newer'));
    if (first === schema) await rename(at(schema), at('agent.db'));
    const { db, recovery } = openDatabase(folder, 3);
    expect(recovery?.error.code).toBe('STORE_ROLLED_BACK');
    expect(db.prepare('SELECT boot, seq FROM outbox').all()).toEqual([{ boot: 2, seq: 2 }]);
    db.close();
    expect(
      readdirSync(folder)
        .filter((name) => name.startsWith('agent.db'))
        .sort(),
    ).toEqual(['agent.db']);
  });

  it("keeps the copy of the package's agent as long as that could not read it, and no other", async () => {
    const folder = await migrated('closed');
    const newest = [...NEWER, 'CREATE TABLE evenLater (x INTEGER) STRICT;'];
    openDatabase(folder, 3, newest).db.close();
    const file = path.join(folder, 'agent.db');
    const copies = (): string[] =>
      readdirSync(folder)
        .filter((name) => name.includes('schema'))
        .sort();
    expect(copies()).toEqual([schema, `agent.db.schema-${NEWER.length}`]);
    dropCopies(file, newest.length, MIGRATIONS.length);
    expect(copies()).toEqual([schema]);
    dropCopies(file, newest.length, newest.length);
    expect(copies()).toEqual([]);
  });
});

describe('a database without a migration to make', () => {
  it('is not copied', async () => {
    const folder = await tempFolder();
    openDatabase(folder, 1).db.close();
    openDatabase(folder, 2).db.close();
    expect(readdirSync(folder)).toEqual(['agent.db']);
  });
});
