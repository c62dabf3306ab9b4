import Database from 'better-sqlite3';
import { z } from 'zod';
import { outboxRow, servingRow, versionRow } from './rows.js';

interface Table {
  readonly name: string;
  /** Its rows are facts of one shape, whoever wrote them. */
  readonly replaced: boolean;
  readonly columns: readonly string[];
  readonly row: z.ZodType;
}

/** Tables worth carrying over from a damaged database; positions of outbox records stay, so the hub still counts each once. */
const TABLES: readonly Table[] = [
  { name: 'kv', replaced: false, columns: ['key', 'value'], row: z.object({ key: z.string(), value: z.string() }) },
  { name: 'counters', replaced: false, columns: ['name', 'value'], row: z.object({ name: z.string(), value: z.int().min(0) }) },
  {
    name: 'versions',
    replaced: true,
    columns: ['model', 'version', 'manifest', 'install', 'boots', 'attempt', 'error_code', 'error_message', 'last_used_at'],
    row: versionRow,
  },
  { name: 'serving', replaced: true, columns: ['model', 'serving', 'last_known_good'], row: servingRow },
  { name: 'outbox', replaced: true, columns: ['seq', 'boot', 'kind', 'payload', 'offered', 'window_from', 'window_to'], row: outboxRow },
];

/**
 * Copies every row that can still be read, and still has the shape of one, from the database at `damaged` into `db`; returns
 * how many. They are trusted no further than before: files are addressed by digest and manifests are checked when read.
 * From a database of a `newer` agent, tables of known shape take the place of what `db` has; values of keys that are in both stay
 * as `db` has them, since only that agent knows how the newer ones are written.
 */
export function salvage(damaged: string, db: Database.Database, kind: 'damaged' | 'newer' = 'damaged'): number {
  let source: Database.Database;
  try {
    source = new Database(damaged, { fileMustExist: true });
  } catch {
    return 0; // Nothing of it can be opened; the caller reports the loss.
  }
  try {
    const copyAll = (): number => TABLES.reduce((sum, table) => sum + copyRows(source, db, table, kind === 'newer' && table.replaced), 0);
    return kind === 'newer' ? db.transaction(copyAll)() : copyAll();
  } finally {
    source.close();
  }
}

function copyRows(source: Database.Database, db: Database.Database, table: Table, replace: boolean): number {
  const named = table.columns.map((column) => `@${column}`).join(', ');
  const insert = db.prepare(`INSERT OR IGNORE INTO ${table.name} (${table.columns.join(', ')}) VALUES (${named})`);
  let copied = 0;
  try {
    const rows = source.prepare<[]>(`SELECT ${table.columns.join(', ')} FROM ${table.name}`);
    if (replace) db.prepare(`DELETE FROM ${table.name}`).run();
    for (const row of rows.iterate()) {
      if (table.row.safeParse(row).success) copied += insert.run(row).changes;
    }
  } catch {
    // The damage was reached; the rows before it are kept.
  }
  return copied;
}
