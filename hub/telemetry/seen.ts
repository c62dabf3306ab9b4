import type { Queryable } from '#hub/store/database.js';
import type { EpochMillis } from '#shared/kernel/time.js';
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
  readonly key: BootKey;
  readonly ranges: SeqRanges;
  /** True for a boot nothing was counted of before. */
  readonly isNew: boolean;
  readonly isClosed: boolean;
  changed: boolean;
}

/** A start of a device. Its number alone does not name it: a device put back to an older image, and a copy of it, count on from there. */
interface BootKey {
  readonly device: string;
  readonly boot: number;
  /** Empty for agents that do not name their starts. */
  readonly boot_id: string;
}

/** Tells records that were counted before from those that were not, and remembers these as counted, in the caller's transaction. */
export async function markSeen<T extends { readonly device: string; readonly at: Position }>(
  trx: Queryable,
  records: readonly T[],
  now: EpochMillis,
): Promise<{ readonly fresh: T[]; readonly duplicates: T[] }> {
  const fresh: T[] = [];
  const duplicates: T[] = [];
  const sets = new Map<string, Seen>();
  for (const record of records) {
    const { boot, bootId = '', seq } = record.at;
    const key = `${record.device} ${boot} ${bootId}`;
    const seen = sets.get(key) ?? (await seenOf(trx, { device: record.device, boot, boot_id: bootId }));
    sets.set(key, seen);
    if (seen.isClosed || !seen.ranges.add(seq)) duplicates.push(record);
    else {
      seen.changed = true;
      fresh.push(record);
    }
  }
  for (const { key, ranges, changed } of sets.values()) if (changed) await keep(trx, key, ranges.toString(), now);
  for (const device of new Set([...sets.values()].filter((seen) => seen.isNew && seen.changed).map((seen) => seen.key.device))) {
    await closeOldest(trx, device, now);
  }
  return { fresh, duplicates };
}

/**
 * A start that just connected is no closed one, whatever its number: what it reports from now on counts, also where the device was put
 * back to an image that many starts have followed.
 */
export async function admitStart(
  trx: Queryable,
  device: string,
  { boot, bootId }: { readonly boot: number; readonly bootId: string },
  now: EpochMillis,
): Promise<void> {
  const key = { device, boot, boot_id: bootId };
  if (boot > (await lastClosed(trx, device)) || (await rangesOf(trx, key)) !== undefined) return;
  await keep(trx, key, '', now);
  await closeOldest(trx, device, now);
}

async function seenOf(trx: Queryable, key: BootKey): Promise<Seen> {
  const text = await rangesOf(trx, key);
  const isClosed = text === undefined && key.boot <= (await lastClosed(trx, key.device));
  return { key, ranges: SeqRanges.parse(text ?? ''), isNew: text === undefined, isClosed, changed: false };
}

/** The highest boot that is closed, with all before it; 0 when none is. */
async function lastClosed(trx: Queryable, device: string): Promise<number> {
  const [, last = 0] = (await rangesOf(trx, closedOf(device)))?.split('-').map(Number) ?? [];
  return last;
}

function closedOf(device: string): BootKey {
  return { device, boot: CLOSED, boot_id: '' };
}

async function closeOldest(trx: Queryable, device: string, now: EpochMillis): Promise<void> {
  const beyond = await trx
    .selectFrom('ingest_positions')
    .select(['boot', 'boot_id'])
    .where('device', '=', device)
    .where('boot', '>', CLOSED)
    .orderBy('counted_at', 'desc')
    .orderBy('boot', 'desc')
    .limit(MAX_BOOTS)
    .offset(MAX_BOOTS)
    .execute();
  if (beyond.length === 0) return;
  for (const { boot, boot_id } of beyond) {
    await trx.deleteFrom('ingest_positions').where('device', '=', device).where('boot', '=', boot).where('boot_id', '=', boot_id).execute();
  }
  const last = Math.max(await lastClosed(trx, device), ...beyond.map(({ boot }) => boot));
  await keep(trx, closedOf(device), `1-${last}`, now);
}

async function rangesOf(trx: Queryable, { device, boot, boot_id }: BootKey): Promise<string | undefined> {
  const row = await trx
    .selectFrom('ingest_positions')
    .select('ranges')
    .where('device', '=', device)
    .where('boot', '=', boot)
    .where('boot_id', '=', boot_id)
    .executeTakeFirst();
  return row?.ranges;
}

async function keep(trx: Queryable, key: BootKey, ranges: string, now: EpochMillis): Promise<void> {
  const row = { ...key, ranges, counted_at: now };
  await trx
    .insertInto('ingest_positions')
    .values(row)
    .onConflict((conflict) => conflict.columns(['device', 'boot', 'boot_id']).doUpdateSet(row))
    .execute();
}
