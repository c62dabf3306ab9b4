import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Db } from '#hub/store/database.js';
import { openDatabase } from '#hub/store/open.js';
import { type StorableRecord, type StoredBatch, storeBatch } from '#hub/telemetry/ingest-store.js';
import { MetricsQuery } from '#hub/telemetry/metrics-query.js';
import { readRecord } from '#hub/telemetry/record.js';
import { Retention } from '#hub/telemetry/retention.js';
import { MAX_BOOTS } from '#hub/telemetry/seen.js';
import { modelNameSchema } from '#shared/bundle/names.js';
import { systemClock } from '#shared/kernel/clock.js';
import { minutes } from '#shared/kernel/time.js';
import { ROWS } from '#shared/signals/rows.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS } from '#shared/signals/table.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { CAPABILITIES, eventOf, telemetryOf } from '../../kit/messages.js';

const DEVICE = deviceIdSchema.parse('d1');
const WIDTHS = { model: minutes(1), device: minutes(5) };
let db: Db;

beforeEach(async () => {
  db = await openDatabase(':memory:', silentLogger);
  const common = { device_labels: '{}', hub_labels: '{}', labels: '{}', capabilities: JSON.stringify(CAPABILITIES), agent_version: '0' };
  const keys = { public_key: 'k', password_sha256: '', password_mosquitto: '', token_id: 'test', enrolled_at: 0, revoked_at: null };
  await db
    .insertInto('devices')
    .values({ id: DEVICE, ...common, ...keys })
    .execute();
});
afterEach(() => db.destroy());

type Options = Partial<Parameters<typeof telemetryOf>[1]> & { readonly models?: readonly string[] };

function recordOf(seq: number, { models = ['vad'], ...options }: Options = {}): StorableRecord {
  const message = telemetryOf(DEVICE, { values: [1], ...options, seq });
  const windows = models.flatMap((model) => message.windows.map((window) => ({ ...window, model: modelNameSchema.parse(model) })));
  const record = readRecord('telemetry', DEVICE, encodeMessage('telemetry', { ...message, windows }));
  if (record.kind !== 'telemetry') throw new Error(`the record is ${record.kind}`);
  return record;
}

function store(records: readonly StorableRecord[], now = Date.now()): Promise<StoredBatch> {
  return db.transaction().execute((trx) => storeBatch(trx, records, WIDTHS, now));
}

function eventRecord(seq: number): StorableRecord {
  const record = readRecord('event', DEVICE, encodeMessage('event', eventOf(DEVICE, seq)));
  if (record.kind !== 'event') throw new Error(`the record is ${record.kind}`);
  return record;
}

/** Counts how often the event loop comes round, until it is asked. */
function turnsOfOthers(): () => number {
  let turns = 0;
  let over = false;
  const turn = (): void => {
    turns += 1;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    over = true;
    return turns;
  };
}

function storedSums(window: Readonly<Record<string, unknown>>): Uint8Array {
  return Sums.ofWindow(SIGNALS, window).store();
}

async function rows(table: 'events' | 'metrics_total' | 'metrics_model' | 'metrics_device' | 'metrics_changes'): Promise<number> {
  const { count } = await db
    .selectFrom(table)
    .select((eb) => eb.fn.countAll().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

describe('a device that reports whatever it likes', () => {
  it('makes no more rows than a fleet has versions', async () => {
    await db.insertInto('models').values({ name: 'published', created_at: 0 }).execute();
    const texts = { manifest_digest: 'd', content_identity: 'c', variants: '[]', role: 'r', publisher: 'p' };
    const numbers = { version: 1, bytes: 0, published_at: 0, accepted_at: 0 };
    await db
      .insertInto('versions')
      .values({ model: 'published', manifest: new Uint8Array(), ...texts, ...numbers })
      .execute();
    const now = Date.now();
    for (let seq = 1; seq <= 20; seq++) {
      const models = Array.from({ length: 100 }, (_, i) => `strange-${seq}-${i}`);
      const { fresh } = await store([recordOf(seq, { models, to: now })], now);
      expect(fresh).toHaveLength(1);
    }
    for (const table of ['metrics_total', 'metrics_model', 'metrics_device', 'metrics_changes'] as const) {
      expect(await rows(table)).toBeLessThanOrEqual(256);
    }
    const last = await store([recordOf(21, { models: ['published', 'one-more'], to: now })], now);
    expect(last.leftOut).toBe(1);
    const counted = await db.selectFrom('metrics_total').select('model').where('model', 'in', ['published', 'one-more']).execute();
    expect(counted).toEqual([{ model: 'published' }]);
  });

  it('is counted for versions that were deleted since, which leave room for others', async () => {
    const deleted = Array.from({ length: 300 }, (_, i) => ({ model: 'gone', version: i + 1 }));
    const rest = { manifest_digest: 'd', role: 'r', deleted_at: 0, deleted_by: 'ada' };
    await db
      .insertInto('deleted_versions')
      .values(deleted.map((version) => ({ ...version, ...rest })))
      .execute();
    await db
      .insertInto('metrics_total')
      .values(deleted.slice(1).map((version) => ({ ...version, signals: storedSums({ predictions: 1 }) })))
      .execute();
    expect((await store([recordOf(1, { models: ['gone', 'by-hand'] })])).leftOut).toBe(0);
  });

  it('does not count a model beyond what numbers hold, nor keep others from being counted', async () => {
    await store([recordOf(1, { errors: { BAD: 1 } })]);
    await db
      .updateTable('metrics_total')
      .set({ signals: storedSums({ errors: { BAD: Number.MAX_SAFE_INTEGER } }) })
      .execute();
    await store([recordOf(2, { errors: { BAD: 1 } })]);
    expect((await store([recordOf(3, { errors: { BAD: 1 } })])).fresh).toHaveLength(1);
  });

  it('leaves no more gaps in its sequence than are kept, and the newest records stay told apart', async () => {
    for (let seq = 2; seq <= 20_000; seq += 1_000) {
      const batch = Array.from({ length: 500 }, (_, i) => recordOf(seq + 2 * i));
      expect((await store(batch)).fresh).toHaveLength(500);
    }
    const { ranges } = await db.selectFrom('ingest_positions').select('ranges').executeTakeFirstOrThrow();
    expect(ranges.split(',').length).toBeLessThanOrEqual(4_096);
    expect((await store([recordOf(20_000)])).duplicates).toHaveLength(1);
    expect((await store([recordOf(19_999)])).fresh).toHaveLength(1);
    // What came long ago was told apart for long enough.
    expect((await store([recordOf(1_001)])).duplicates).toHaveLength(1);
  });
});

describe('a device that boots again and again', () => {
  const bootRows = () => db.selectFrom('ingest_positions').select('boot').where('device', '=', DEVICE).execute();

  it('leaves no more boots than are kept, and nothing of it counts twice, however late it comes', async () => {
    // Long without network: all of it comes at once, from the oldest on.
    for (let first = 1; first <= 3_000; first += 500) {
      const batch = Array.from({ length: 500 }, (_, i) => recordOf(first + i, { boot: first + i }));
      expect((await store(batch)).fresh).toHaveLength(500);
    }
    expect((await bootRows()).length).toBeLessThanOrEqual(MAX_BOOTS + 1);
    expect((await store([recordOf(7, { boot: 7 }), recordOf(2_500, { boot: 2_500 })])).duplicates).toHaveLength(2);
    // A record that got lost on the way is sent again long before its boot is closed.
    expect((await store([recordOf(9_001, { boot: 3_000 - MAX_BOOTS + 1 })])).fresh).toHaveLength(1);
    expect((await store([recordOf(9_001, { boot: 3_000 - MAX_BOOTS + 1 })])).duplicates).toHaveLength(1);
    expect((await store([recordOf(9_002, { boot: 3_001 })])).fresh).toHaveLength(1);
    const { signals } = await db.selectFrom('metrics_total').select('signals').executeTakeFirstOrThrow();
    expect(Sums.stored(SIGNALS, signals).of(ROWS.predictions)).toBe(3_002);
  });

  it('is told apart from what it says anew after it was removed and restored', async () => {
    await store([recordOf(1)]);
    const retention = new Retention(db, systemClock, silentLogger, { events: 1e12, models: 1e12, devices: 1e12 });
    await db.updateTable('devices').set({ revoked_at: 1 }).execute();
    await retention.sweep();
    expect((await store([recordOf(1)])).foreign).toHaveLength(1);
    await db.updateTable('devices').set({ revoked_at: null }).execute();
    // Its acknowledgement was lost when it was cut off: it sends the record once more.
    expect((await store([recordOf(1)])).duplicates).toHaveLength(1);
    expect(await bootRows()).toHaveLength(1);
  });
});

describe('what is too old', () => {
  it('goes slice by slice, with room for others in between', async () => {
    const now = 1_000 * minutes(60);
    const ages = [5, 4, 3, 2, 1, 0];
    for (const [i, age] of ages.entries()) {
      await store([recordOf(i + 1, { to: now - minutes(60 * age) }), eventRecord(100 + i)], now - minutes(60 * age));
    }
    const kept = { events: minutes(90), models: minutes(90), devices: minutes(90) };
    const turns = turnsOfOthers();
    const retention = new Retention(db, { ...systemClock, now: () => now }, silentLogger, kept);
    // Four of each, older than an hour and a half.
    expect(await retention.sweep()).toBe(3 * 4);
    expect(turns()).toBeGreaterThanOrEqual(3 * 4);
    expect([await rows('metrics_model'), await rows('metrics_device'), await rows('events')]).toEqual([2, 2, 2]);
    expect(await retention.sweep()).toBe(0);
  });
});

describe('figures over a long time', () => {
  it('leave room for others while they are summed', async () => {
    const now = Date.now();
    const batch = Array.from({ length: 1_500 }, (_, i) => recordOf(i + 1, { to: now - minutes(i) }));
    await store(batch, now);
    const turns = turnsOfOthers();
    const [version] = await new MetricsQuery(db, WIDTHS).model('vad', { since: 0 });
    expect(turns()).toBeGreaterThanOrEqual(3);
    expect(version?.predictions).toBe(1_500);
  });
});
