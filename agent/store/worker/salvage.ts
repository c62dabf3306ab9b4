import Database from 'better-sqlite3';
import { z } from 'zod';
import { outboxRow, servingRow, versionRow } from './rows.js';

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly row: z.ZodType;
}

/** Tables worth carrying over from a damaged database; positions of outbox records stay, so the hub still counts each once. */
const TABLES: readonly Table[] = [
  { name: 'kv', columns: ['key', 'value'], row: z.object({ key: z.string(), value: z.string() }) },
  { name: 'counters', columns: ['name', 'value'], row: z.object({ name: z.string(), value: z.int().min(0) }) },
  {
    name: 'versions',
    columns: ['model', 'version', 'manifest', 'install', 'boots', 'attempt', 'error_code', 'error_message', 'last_used_at'],
    row: versionRow,
  },
  { name: 'serving', columns: ['model', 'serving', 'last_known_good'], row: servingRow },
  { name: 'outbox', columns: ['seq', 'boot', 'kind', 'payload', 'offered', 'window_from', 'window_to'], row: outboxRow },
];

/**
 * Copies every row that can still be read, and still has the shape of one, from the database at `damaged` into `db`; returns
 * how many. They are trusted no further than before: files are addressed by digest and manifests are checked when read.
 */
export function salvage(damaged: string, db: Database.Database): number {
  let source: Database.Database;
  try {
    source = new Database(damaged, { fileMustExist: true });
  } catch {
    return 0; // Nothing of it can be opened; the caller reports the loss.
  }
  try {
    return TABLES.reduce((sum, table) => sum + copyRows(source, db, table), 0);
  } finally {
    source.close();
  }
}

function copyRows(source: Database.Database, db: Database.Database, table: Table): number {
  const named = table.columns.map((column) => `@${column}`).join(', ');
  const insert = db.prepare(`INSERT OR IGNORE INTO ${table.name} (${table.columns.join(', ')}) VALUES (${named})`);
  let copied = 0;
  try {
    for (const row of source.prepare<[]>(`SELECT ${table.columns.join(', ')} FROM ${table.name}`).iterate()) {
      if (table.row.safeParse(row).success) copied += insert.run(row).changes;
    }
  } catch {
    // The damage was reached; the rows before it are kept.
  }
  return copied;
}
