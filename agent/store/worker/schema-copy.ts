import { closeSync, fsyncSync, linkSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type Database from 'better-sqlite3';

// Copies of the database under the schema it had before a migration: `agent.db.schema-3`. They are there for the agent that
// wrote them, should it have to run again (docs/adr/0003-self-update.md), and go once it will not.

/** Writes a copy of the database, whole or not at all; copies under other schemas go. */
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
  for (const other of copies(path)) if (other.schema !== schema) rmSync(other.path, { force: true });
}

/**
 * Puts the newest copy with a schema of at most `schema` in the database's place; returns where the database is now, or
 * `undefined` when there is no copy. The database must be closed. Whenever the power goes, the next start finds either the
 * newer database with its copy, or the copy in its place.
 */
export function takeBack(path: string, schema: number): string | undefined {
  const [copy] = copies(path)
    .filter((each) => each.schema <= schema)
    .toSorted((a, b) => b.schema - a.schema);
  if (copy === undefined) return undefined;
  const newer = `${path}.newer`;
  rmSync(newer, { force: true });
  linkSync(path, newer);
  // Closing wrote the log into the database; what a crash left of it belongs to the newer one and would harm the copy.
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
  renameSync(copy.path, path);
  sync(dirname(path));
  return newer;
}

/** Removes every copy: the agents they were made for will not run again. */
export function dropCopies(path: string): void {
  for (const { path: copy } of copies(path)) rmSync(copy, { force: true });
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
