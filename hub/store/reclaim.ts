import { sql } from 'kysely';
import type { Db } from './database.js';

/** Pages given back in one statement, so that a large deletion does not hold up the hub at once. */
const PAGES = 2_000;

/**
 * Gives the pages that deleted rows left back to the file system, some at a time (sqlite.org/pragma.html#pragma_incremental_vacuum);
 * resolves with how many that were. `onSlice` lets other work run in between.
 */
export async function reclaimDisk(db: Db, onSlice: () => Promise<void>): Promise<number> {
  let freed = 0;
  for (let left = await freePages(db); left > 0; ) {
    await sql`pragma incremental_vacuum(${sql.lit(PAGES)})`.execute(db);
    const now = await freePages(db);
    if (now >= left) break;
    freed += left - now;
    left = now;
    await onSlice();
  }
  // The file shrinks once the log is written back.
  if (freed > 0) await sql`pragma wal_checkpoint(truncate)`.execute(db);
  return freed;
}

async function freePages(db: Db): Promise<number> {
  const { rows } = await sql<{ freelist_count: number }>`pragma freelist_count`.execute(db);
  return rows[0]?.freelist_count ?? 0;
}
