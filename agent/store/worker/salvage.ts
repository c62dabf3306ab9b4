import Database from 'better-sqlite3';
import { z } from 'zod';
import { outboxRow, servingRow, versionRow } from './rows.js';

interface Table {
  readonly name: string;
  /** What an older agent does with the rows of a newer one: they take the place of its own, are put over them, or the larger number counts. */
  readonly newer: 'replace' | 'put over' | 'larger';
  readonly columns: readonly string[];
  readonly row: z.ZodType;
}

/** Tables worth carrying over from a damaged database; positions of outbox records stay, so the hub still counts each once. */
const TABLES: readonly Table[] = [
  // The desired state and the signed time may never fall, so the newest value counts. Whoever changes the form of a value so that an
  // older agent cannot read it stores it under another key (docs/PROTOCOL.md, "How formats grow").
  { name: 'kv', newer: 'put over', columns: ['key', 'value'], row: z.object({ key: z.string(), value: z.string() }) },
  { name: 'counters', newer: 'larger', columns: ['name', 'value'], row: z.object({ name: z.string(), value: z.int().min(0) }) },
  {
    name: 'versions',
    newer: 'replace',
    columns: ['model', 'version', 'manifest', 'install', 'boots', 'attempt', 'error_code', 'error_message', 'last_used_at'],
    row: versionRow,
  },
  { name: 'serving', newer: 'replace', columns: ['model', 'serving', 'last_known_good'], row: servingRow },
  {
    name: 'outbox',
    newer: 'replace',
    columns: ['seq', 'boot', 'kind', 'payload', 'offered', 'window_from', 'window_to'],
    row: outboxRow,
  },
];

/** Statement that takes a row of a newer agent; one of a damaged database never replaces what is there. */
function insertion({ name, newer, columns }: Table, from: 'damaged' | 'newer'): string {
  const values = `${name} (${columns.join(', ')}) VALUES (${columns.map((column) => `@${column}`).join(', ')})`;
  if (from === 'damaged' || newer === 'replace') return `INSERT OR IGNORE INTO ${values}`;
  const [key, value] = columns;
  const larger = newer === 'larger' ? ` WHERE excluded.${value} > ${value}` : '';
  return `INSERT INTO ${values} ON CONFLICT (${key}) DO UPDATE SET ${value} = excluded.${value}${larger}`;
}

/**
 * Copies every row that can still be read, and still has the shape of one, from the database at `damaged` into `db`; returns
 * how many. They are trusted no further than before: files are addressed by digest and manifests are checked when read.
 * From a database of a `newer` agent the rows are taken as each table says, in one transaction.
 */
export function salvage(damaged: string, db: Database.Database, kind: 'damaged' | 'newer' = 'damaged'): number {
  let source: Database.Database;
  try {
    source = new Database(damaged, { fileMustExist: true });
  } catch {
    return 0; // Nothing of it can be opened; the caller reports the loss.
  }
  try {
    const copyAll = (): number => TABLES.reduce((sum, table) => sum + copyRows(source, db, table, kind), 0);
    return kind === 'newer' ? db.transaction(copyAll)() : copyAll();
  } finally {
    source.close();
  }
}

function copyRows(source: Database.Database, db: Database.Database, table: Table, from: 'damaged' | 'newer'): number {
  const insert = db.prepare(insertion(table, from));
  let copied = 0;
  try {
    const rows = source.prepare<[]>(`SELECT ${table.columns.join(', ')} FROM ${table.name}`);
    if (from === 'newer' && table.newer === 'replace') db.prepare(`DELETE FROM ${table.name}`).run();
    for (const row of rows.iterate()) {
      if (table.row.safeParse(row).success) copied += insert.run(row).changes;
    }
  } catch {
    // The damage was reached; the rows before it are kept.
  }
  return copied;
}
