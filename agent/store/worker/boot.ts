import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { z } from 'zod';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, hasCode } from '#shared/kernel/errors.js';
import { bootIdSchema } from '#shared/protocol/messages.js';
import type { Boot } from '../contract.js';

const BOOT_FILE = 'boot';
const BOOT_IDS = 'store.boot-ids';

/** This start, and the identity of every start that records in the outbox come from, by its number. */
export interface StoredBoots {
  readonly boot: Boot;
  readonly ids: ReadonlyMap<number, string>;
}

const idsSchema = z.array(z.tuple([z.int().min(1), bootIdSchema]));

/**
 * Counts this start of the agent: its number is larger than any before, and its identity is new. The number is kept in the database and
 * in a file beside it, so that it does not come back with a fresh database. On a full disk both hold for this run and are written
 * with the first append (`rememberBoot`): the agent must start.
 */
export async function countBoot(db: Database.Database, folder: string): Promise<StoredBoots> {
  const path = join(folder, BOOT_FILE);
  const [number = '', lastId = ''] = (await readFile(path, 'utf8').catch(() => '0')).trim().split(' ');
  const beside = Number.parseInt(number, 10);
  const stored = Number(db.prepare<[]>("SELECT value FROM counters WHERE name = 'boot'").pluck().get() ?? 0);
  const afterBootId = bootIdSchema.safeParse(lastId).data;
  const boot = {
    boot: Math.max(stored, Number.isSafeInteger(beside) ? beside : 0) + 1,
    bootId: randomUUID(),
    ...(afterBootId === undefined ? {} : { afterBootId }),
  };
  const boots = { boot, ids: idsOf(db).set(boot.boot, boot.bootId) };
  try {
    db.transaction(() => rememberBoot(db, boots))();
    await writeFileAtomic(path, `${boot.boot} ${boot.bootId}\n`);
  } catch (cause) {
    const error = asSkerryError(cause);
    // A database in memory stands for a disk that takes no writes.
    if (!hasCode(error, 'DISK_FULL') && !db.memory) throw error;
  }
  return boots;
}

/** Writes this start into the database; nothing changes where it stands there already. */
export function rememberBoot(db: Database.Database, { boot, ids }: StoredBoots): void {
  const { changes } = db
    .prepare(
      `INSERT INTO counters (name, value) VALUES ('boot', ?)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value < excluded.value`,
    )
    .run(boot.boot);
  if (changes === 0) return;
  db.prepare('INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value').run(
    BOOT_IDS,
    JSON.stringify([...ids]),
  );
}

/** Identities of the starts that left records in the outbox. */
function idsOf(db: Database.Database): Map<number, string> {
  const text = db.prepare<[string]>('SELECT value FROM kv WHERE key = ?').pluck().get(BOOT_IDS);
  const ids = idsSchema.safeParse(typeof text === 'string' ? parsed(text) : []).data ?? [];
  const waiting = new Set(db.prepare<[]>('SELECT DISTINCT boot FROM outbox').pluck().all());
  return new Map(ids.filter(([boot]) => waiting.has(boot)));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Identities that are lost are as those of older agents: the number stands for them.
  }
}
