import { accessSync, constants, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { errnoOf } from '#shared/kernel/errors.js';

/** True when the file system takes no writes at all, as one that the kernel remounted after an error. */
export function isReadOnly(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return false;
  } catch (cause) {
    return errnoOf(cause) === 'EROFS';
  }
}

/**
 * The database at `path` as a copy in memory, with what its write-ahead log holds: a device whose disk takes nothing serves
 * what it has (DESIGN R2). What is written to it lasts until the process ends.
 */
export function copyToMemory(path: string): Database.Database {
  const folder = mkdtempSync(join(os.tmpdir(), 'skerry-store-'));
  try {
    const copy = join(folder, 'copy.db');
    for (const suffix of ['', '-wal']) if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
    const db = new Database(copy);
    try {
      // An image in memory has no log beside it.
      db.pragma('journal_mode = DELETE');
      return new Database(db.serialize());
    } finally {
      db.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
