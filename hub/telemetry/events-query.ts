import { z } from 'zod';
import type { Db } from '#hub/store/database.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { StoredEvent } from './views.js';

interface EventFilter {
  readonly device?: string | undefined;
  readonly model?: string | undefined;
  readonly version?: number | undefined;
  readonly kind?: string | undefined;
  readonly code?: string | undefined;
  /** By the hub's clock. */
  readonly since?: EpochMillis | undefined;
  /** Only events before this id: the next page. */
  readonly before?: number | undefined;
  readonly limit: number;
}

/** Events of devices, newest first. */
export async function listEvents(db: Db, filter: EventFilter): Promise<StoredEvent[]> {
  let query = db.selectFrom('events').selectAll().orderBy('id', 'desc').limit(filter.limit);
  if (filter.device !== undefined) query = query.where('device', '=', filter.device);
  if (filter.model !== undefined) query = query.where('model', '=', filter.model);
  if (filter.version !== undefined) query = query.where('version', '=', filter.version);
  if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind);
  if (filter.code !== undefined) query = query.where('code', '=', filter.code);
  if (filter.since !== undefined) query = query.where('received_at', '>=', filter.since);
  if (filter.before !== undefined) query = query.where('id', '<', filter.before);
  const rows = await query.execute();
  return rows.map((row) => ({
    id: row.id,
    device: row.device,
    boot: row.boot,
    seq: row.seq,
    at: new Date(row.at).toISOString(),
    receivedAt: new Date(row.received_at).toISOString(),
    kind: row.kind,
    model: row.model,
    version: row.version,
    error: row.code === null ? null : { code: row.code, message: row.message ?? '' },
    detail: row.detail === null ? null : z.record(z.string(), z.unknown()).parse(JSON.parse(row.detail)),
  }));
}
