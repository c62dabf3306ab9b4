import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, hasCode } from '#shared/kernel/errors.js';

const BOOT_FILE = 'boot';

/**
 * Counts this start of the agent and returns its number, larger than any before. It is kept in the database and in a file
 * beside it: a hub takes a position it has seen for a repetition, so a number must not come back with a fresh database.
 * On a full disk the number holds for this run and is written with the first append (`rememberBoot`): the agent must start.
 */
export async function countBoot(db: Database.Database, folder: string): Promise<number> {
  const path = join(folder, BOOT_FILE);
  const beside = Number.parseInt(await readFile(path, 'utf8').catch(() => '0'), 10);
  const stored = Number(db.prepare<[]>("SELECT value FROM counters WHERE name = 'boot'").pluck().get() ?? 0);
  const boot = Math.max(stored, Number.isSafeInteger(beside) ? beside : 0) + 1;
  try {
    rememberBoot(db, boot);
    await writeFileAtomic(path, `${boot}\n`);
  } catch (cause) {
    const error = asSkerryError(cause);
    if (!hasCode(error, 'DISK_FULL')) throw error;
  }
  return boot;
}

/** Writes the boot number into the database; nothing changes where it stands there already. */
export function rememberBoot(db: Database.Database, boot: number): void {
  db.prepare(
    `INSERT INTO counters (name, value) VALUES ('boot', ?)
     ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value < excluded.value`,
  ).run(boot);
}
