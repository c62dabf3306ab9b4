import type { Queryable } from '#hub/store/database.js';
import { type EpochMillis, parseTimestamp } from '#shared/kernel/time.js';
import { Sums } from '#shared/signals/sums.js';
import type { IngestRecord } from './record.js';
import { type DeviceKey, measuredAt, type ModelKey, type RollUp, rollUp, type RollUpWidths } from './roll-up.js';
import { markSeen } from './seen.js';

/** Records that carry something to store. */
export type StorableRecord = Extract<IngestRecord, { kind: 'telemetry' | 'event' }>;

type TelemetryRecord = Extract<StorableRecord, { kind: 'telemetry' }>;

export interface StoredBatch {
  /** Counted now, for the first time. */
  readonly fresh: readonly StorableRecord[];
  /** Counted before: acknowledged again and otherwise ignored. */
  readonly duplicates: readonly StorableRecord[];
  /** From devices that do not belong to the fleet (any more): neither stored nor acknowledged. */
  readonly foreign: readonly StorableRecord[];
  /** Versions that nobody published here and that were not counted, because there are `MAX_STRANGE` such already. */
  readonly leftOut: number;
}

/** Versions counted that nobody ever published here: some reach a device by hand, but no device may make up as many as it likes. */
const MAX_STRANGE = 256;

/**
 * Stores a batch: which records are new, and what the new ones add, in the one transaction of the caller. A crash before
 * its commit leaves nothing, after it the same records are duplicates (R3).
 */
export async function storeBatch(
  trx: Queryable,
  records: readonly StorableRecord[],
  widths: RollUpWidths,
  now: EpochMillis,
): Promise<StoredBatch> {
  const enrolled = await enrolledOf(trx, records);
  const foreign = records.filter((record) => !enrolled.has(record.device));
  const { fresh, duplicates } = await markSeen(
    trx,
    records.filter((record) => enrolled.has(record.device)),
    now,
  );
  const telemetry = fresh.filter((record) => record.kind === 'telemetry');
  const leftOut = await addRollUp(
    trx,
    rollUp(telemetry, widths, now, (device) => enrolled.get(device) ?? 0),
  );
  await storeHealth(trx, telemetry, (record) => measuredAt(record.message, now, enrolled.get(record.device) ?? 0));
  await storeEvents(
    trx,
    fresh.filter((record) => record.kind === 'event'),
    now,
  );
  return { fresh, duplicates, foreign, leftOut };
}

/** When each of their devices was enrolled, by the hub's clock; those that do not belong to the fleet are left out. */
async function enrolledOf(trx: Queryable, records: readonly StorableRecord[]): Promise<ReadonlyMap<string, EpochMillis>> {
  const devices = [...new Set(records.map((record) => record.device))];
  if (devices.length === 0) return new Map();
  const rows = await trx
    .selectFrom('devices')
    .select(['id', 'enrolled_at'])
    .where('id', 'in', devices)
    .where('revoked_at', 'is', null)
    .execute();
  return new Map(rows.map((row) => [row.id, row.enrolled_at]));
}

/** Resolves with how many versions were left out. */
async function addRollUp(trx: Queryable, sums: RollUp): Promise<number> {
  const out = new Set<string>();
  let room: number | undefined;
  for (const { key, sums: counted } of sums.totals) {
    const before = await trx
      .selectFrom('metrics_total')
      .select('signals')
      .where('model', '=', key.model)
      .where('version', '=', key.version)
      .executeTakeFirst();
    if (before === undefined && !(await isPublished(trx, key))) {
      room ??= MAX_STRANGE - (await strangeVersions(trx));
      room -= 1;
      if (room < 0) {
        out.add(versionOf(key));
        continue;
      }
    }
    const row = { ...key, signals: added(before?.signals, counted) };
    await trx
      .insertInto('metrics_total')
      .values(row)
      .onConflict((conflict) => conflict.columns(['model', 'version']).doUpdateSet(row))
      .execute();
  }
  for (const { key, sums: model } of sums.models) if (!out.has(versionOf(key))) await addModel(trx, key, model);
  await addDeviceSums(
    trx,
    sums.devices.filter(({ key }) => !out.has(versionOf(key))),
  );
  return out.size;
}

type Version = Omit<ModelKey, 'bucket'>;

function versionOf({ model, version }: Version): string {
  return `${model}@${version}`;
}

/** True also for one that was deleted since. */
async function isPublished(trx: Queryable, { model, version }: Version): Promise<boolean> {
  for (const table of ['versions', 'deleted_versions'] as const) {
    const query = trx.selectFrom(table).select('version').where('model', '=', model).where('version', '=', version);
    if ((await query.executeTakeFirst()) !== undefined) return true;
  }
  return false;
}

async function strangeVersions(trx: Queryable): Promise<number> {
  const row = await trx
    .selectFrom('metrics_total')
    .leftJoin('versions', (join) =>
      join.onRef('versions.model', '=', 'metrics_total.model').onRef('versions.version', '=', 'metrics_total.version'),
    )
    .leftJoin('deleted_versions', (join) =>
      join.onRef('deleted_versions.model', '=', 'metrics_total.model').onRef('deleted_versions.version', '=', 'metrics_total.version'),
    )
    .select((eb) => eb.fn.countAll().as('count'))
    .where('versions.version', 'is', null)
    .where('deleted_versions.version', 'is', null)
    .executeTakeFirst();
  return Number(row?.count ?? 0);
}

/** What a row holds and what is added to it, as the row holds it. */
function added(before: Uint8Array | undefined, sums: Sums): Buffer {
  const sum = before === undefined ? new Sums(sums.table) : Sums.stored(sums.table, before);
  sum.merge(sums);
  return sum.store();
}

async function addModel(trx: Queryable, key: ModelKey, sums: Sums): Promise<void> {
  const before = await trx
    .selectFrom('metrics_model')
    .select('signals')
    .where('model', '=', key.model)
    .where('version', '=', key.version)
    .where('bucket', '=', key.bucket)
    .executeTakeFirst();
  const row = { ...key, signals: added(before?.signals, sums) };
  await trx
    .insertInto('metrics_model')
    .values(row)
    .onConflict((conflict) => conflict.columns(['model', 'version', 'bucket']).doUpdateSet(row))
    .execute();
}

/** Adds to the sums of single devices, each row once; every change of a row gets the next number of its model. */
export async function addDeviceSums(trx: Queryable, rows: RollUp['devices']): Promise<void> {
  for (const model of new Set(rows.map(({ key }) => key.model))) {
    const own = rows.filter(({ key }) => key.model === model);
    let changed = await takeNumbers(trx, model, own.length);
    for (const { key, sums } of own) {
      changed += 1;
      await addDevice(trx, key, sums, changed);
    }
  }
}

/** Takes so many numbers; returns the one before the first. INVARIANT: one transaction writes at a time, so numbers commit in order. */
async function takeNumbers(trx: Queryable, model: string, count: number): Promise<number> {
  const before = await trx.selectFrom('metrics_changes').select('last').where('model', '=', model).executeTakeFirst();
  const last = before?.last ?? 0;
  const row = { model, last: last + count };
  await trx
    .insertInto('metrics_changes')
    .values(row)
    .onConflict((conflict) => conflict.column('model').doUpdateSet(row))
    .execute();
  return last;
}

async function addDevice(trx: Queryable, key: DeviceKey, sums: Sums, changed: number): Promise<void> {
  const before = await trx
    .selectFrom('metrics_device')
    .select('signals')
    .where('device', '=', key.device)
    .where('model', '=', key.model)
    .where('version', '=', key.version)
    .where('bucket', '=', key.bucket)
    .executeTakeFirst();
  const row = { ...key, changed, signals: added(before?.signals, sums) };
  await trx
    .insertInto('metrics_device')
    .values(row)
    .onConflict((conflict) => conflict.columns(['device', 'model', 'version', 'bucket']).doUpdateSet(row))
    .execute();
}

/** Only the latest window's health of each device counts, however late older ones arrive. */
async function storeHealth(
  trx: Queryable,
  records: readonly TelemetryRecord[],
  measured: (record: TelemetryRecord) => EpochMillis,
): Promise<void> {
  const latest = new Map<string, TelemetryRecord>();
  for (const record of records) {
    const known = latest.get(record.device);
    if (known === undefined || measured(record) >= measured(known)) latest.set(record.device, record);
  }
  for (const record of latest.values()) {
    const { device, message } = record;
    const row = { device, at: measured(record), health: JSON.stringify(message.health) };
    await trx
      .insertInto('device_health')
      .values(row)
      .onConflict((conflict) => conflict.column('device').doUpdateSet(row).where('device_health.at', '<=', row.at))
      .execute();
  }
}

async function storeEvents(
  trx: Queryable,
  records: readonly Extract<StorableRecord, { kind: 'event' }>[],
  now: EpochMillis,
): Promise<void> {
  for (const { device, at, message } of records) {
    await trx
      .insertInto('events')
      .values({
        device,
        boot: at.boot,
        seq: at.seq,
        at: parseTimestamp(message.at) ?? now,
        received_at: now,
        kind: message.kind,
        model: message.model ?? null,
        version: message.version ?? null,
        code: message.error?.code ?? null,
        message: message.error?.message ?? null,
        detail: message.detail === undefined ? null : JSON.stringify(message.detail),
      })
      .execute();
  }
}
