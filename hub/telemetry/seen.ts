import type { Queryable } from '#hub/store/database.js';
import type { Position } from './record.js';
import { SeqRanges } from './seq-ranges.js';

/**
 * Boots kept of one device. Beyond these the oldest is closed, and whatever comes of it counts as there: a record may still come years
 * after it was made, but not after this many later boots, since outboxes are emptied from the oldest on and a record that got lost
 * is sent again after 10 s, that is 2,000 records at most (agent/sync/outbox-window.ts).
 */
export const MAX_BOOTS = 2_048;
/** Stands for the boots that are closed: the ranges of this row are theirs. Devices count their boots from 1. */
const CLOSED = 0;

interface Seen {
  readonly device: string;
  readonly boot: number;
  readonly ranges: SeqRanges;
  /** True for a boot nothing was counted of before. */
  readonly isNew: boolean;
  readonly isClosed: boolean;
  changed: boolean;
}

/** Tells records that were counted before from those that were not, and remembers these as counted, in the caller's transaction. */
export async function markSeen<T extends { readonly device: string; readonly at: Position }>(
  trx: Queryable,
  records: readonly T[],
): Promise<{ readonly fresh: T[]; readonly duplicates: T[] }> {
  const fresh: T[] = [];
  const duplicates: T[] = [];
  const sets = new Map<string, Seen>();
  for (const record of records) {
    const { boot, seq } = record.at;
    const key = `${record.device} ${boot}`;
    const seen = sets.get(key) ?? (await seenOf(trx, record.device, boot));
    sets.set(key, seen);
    if (seen.isClosed || !seen.ranges.add(seq)) duplicates.push(record);
    else {
      seen.changed = true;
      fresh.push(record);
    }
  }
  for (const { device, boot, ranges, changed } of sets.values()) if (changed) await keep(trx, device, boot, ranges.toString());
  for (const device of new Set([...sets.values()].filter((seen) => seen.isNew && seen.changed).map((seen) => seen.device))) {
    await closeOldest(trx, device);
  }
  return { fresh, duplicates };
}

async function seenOf(trx: Queryable, device: string, boot: number): Promise<Seen> {
  const text = await rangesOf(trx, device, boot);
  const isClosed = text === undefined && boot <= (await lastClosed(trx, device));
  return { device, boot, ranges: SeqRanges.parse(text ?? ''), isNew: text === undefined, isClosed, changed: false };
}

/** The highest boot that is closed, with all before it; 0 when none is. */
async function lastClosed(trx: Queryable, device: string): Promise<number> {
  const [, last = 0] = (await rangesOf(trx, device, CLOSED))?.split('-').map(Number) ?? [];
  return last;
}

async function closeOldest(trx: Queryable, device: string): Promise<void> {
  const beyond = await trx
    .selectFrom('ingest_seen')
    .select('boot')
    .where('device', '=', device)
    .where('boot', '>', CLOSED)
    .orderBy('boot', 'desc')
    .offset(MAX_BOOTS)
    .limit(1)
    .executeTakeFirst();
  if (beyond === undefined) return;
  await trx.deleteFrom('ingest_seen').where('device', '=', device).where('boot', '<=', beyond.boot).execute();
  await keep(trx, device, CLOSED, `1-${beyond.boot}`);
}

async function rangesOf(trx: Queryable, device: string, boot: number): Promise<string | undefined> {
  const row = await trx.selectFrom('ingest_seen').select('ranges').where('device', '=', device).where('boot', '=', boot).executeTakeFirst();
  return row?.ranges;
}

async function keep(trx: Queryable, device: string, boot: number, ranges: string): Promise<void> {
  const row = { device, boot, ranges };
  await trx
    .insertInto('ingest_seen')
    .values(row)
    .onConflict((conflict) => conflict.columns(['device', 'boot']).doUpdateSet(row))
    .execute();
}
