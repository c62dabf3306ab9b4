import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';

/** Folders that may take a copy for a moment: where / is read-only, /tmp often is as well, and what lies in memory is not. */
function scratchFolders({ RUNTIME_DIRECTORY = '', XDG_RUNTIME_DIR = '' }: NodeJS.ProcessEnv = process.env): readonly string[] {
  return [os.tmpdir(), ...RUNTIME_DIRECTORY.split(':'), XDG_RUNTIME_DIR, '/dev/shm', '/run'].filter((folder) => folder !== '');
}

/**
 * The database at `path` as a copy in memory, with what its write-ahead log holds: a device whose disk takes nothing serves
 * what it has (R2). What is written to it lasts until the process ends. `STORE_READ_ONLY` when no folder takes the copy on its way.
 */
export function copyToMemory(path: string, folders: readonly string[] = scratchFolders()): Database.Database {
  const reasons: string[] = [];
  for (const folder of folders) {
    const taken = copyVia(path, folder);
    if (typeof taken !== 'string') return new Database(taken);
    reasons.push(taken);
  }
  throw new SkerryError('STORE_READ_ONLY', `the disk of ${path} is read-only, and no folder takes a copy of it: ${reasons.join('; ')}`);
}

/** The image of the database, its log taken in; or why the folder does not take the copy. */
function copyVia(path: string, parent: string): Buffer | string {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(parent, 'skerry-store-'));
    const copy = join(folder, 'copy.db');
    for (const suffix of ['', '-wal']) if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
    return imageOf(copy);
  } catch (cause) {
    // What is wrong with the database itself is so in every folder.
    if (isOfDatabase(cause)) throw cause;
    return asSkerryError(cause, 'IO_FAILED').message;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function isOfDatabase(cause: unknown): boolean {
  return cause instanceof Database.SqliteError && !/^SQLITE_(FULL|IOERR|CANTOPEN|READONLY)/.test(cause.code);
}

function imageOf(path: string): Buffer {
  const db = new Database(path);
  try {
    // An image in memory has no log beside it.
    db.pragma('journal_mode = DELETE');
    return db.serialize();
  } finally {
    db.close();
  }
}
