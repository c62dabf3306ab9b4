import { closeSync, fsyncSync, linkSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type Database from 'better-sqlite3';

// Copies of the database under the schema it had before a migration: `agent.db.schema-3`. They are there for the agent that
// wrote them, should it have to run again (docs/adr/0003-self-update.md), and go once it will not.

/** Writes a copy of the database, whole or not at all. */
export function keepCopy(db: Database.Database, path: string, schema: number): void {
  const copy = copyPath(path, schema);
  const temporary = `${copy}.tmp`;
  rmSync(temporary, { force: true });
  try {
    db.prepare('VACUUM INTO ?').run(temporary);
    sync(temporary);
    renameSync(temporary, copy);
    sync(dirname(path));
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw cause;
  }
}

/**
 * Puts the newest copy with a schema of at most `schema` in the database's place, which is at `newerPath` then; false when there
 * is none. The database must be closed. Whenever the power goes, the next start finds either the newer database with its
 * copy, or the copy in its place and the newer one beside it.
 */
export function takeBack(path: string, schema: number): boolean {
  const [copy] = copies(path)
    .filter((each) => each.schema <= schema)
    .toSorted((a, b) => b.schema - a.schema);
  if (copy === undefined) return false;
  const newer = newerPath(path);
  rmSync(newer, { force: true });
  linkSync(path, newer);
  // Closing wrote the log into the database; what a crash left of it belongs to the newer one and would harm the copy.
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
  renameSync(copy.path, path);
  sync(dirname(path));
  return true;
}

/** Where a database that an older agent took back waits to be looked through. */
export function newerPath(path: string): string {
  return `${path}.newer`;
}

/**
 * Removes copies whose agents will not run again. The agent of the package always may, as the last resort: what it would take
 * back stays, if `schema` is the one it knows and the database has a newer one, `current`.
 */
export function dropCopies(path: string, current: number, schema: number | undefined): void {
  const all = copies(path);
  const [kept] = all
    .filter((copy) => schema !== undefined && schema < current && copy.schema <= schema)
    .toSorted((a, b) => b.schema - a.schema);
  for (const copy of all) if (copy !== kept) rmSync(copy.path, { force: true });
}

function copies(path: string): { readonly path: string; readonly schema: number }[] {
  const name = `${basename(path)}.schema-`;
  return readdirSync(dirname(path)).flatMap((entry) => {
    const schema = entry.startsWith(name) ? Number(entry.slice(name.length)) : Number.NaN;
    return Number.isSafeInteger(schema) ? [{ path: join(dirname(path), entry), schema }] : [];
  });
}

function copyPath(path: string, schema: number): string {
  return `${path}.schema-${schema}`;
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
