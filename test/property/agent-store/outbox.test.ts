import { decode } from 'cborg';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { narrow } from '#shared/kernel/json.js';
import { telemetrySchema, type Telemetry } from '#shared/protocol/messages.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import type { OutboxRecord } from '#agent/store/contract.js';
import { DEFAULT_STORE_LIMITS, type StoreLimits } from '#agent/store/limits.js';
import type { StoredBoots } from '#agent/store/worker/boot.js';
import { coarsenPairs } from '#agent/store/worker/coarsen.js';
import { openDatabase } from '#agent/store/worker/database.js';
import { OutboxTable } from '#agent/store/worker/outbox-table.js';
import { DEVICE, telemetryOf } from '../../kit/agent-store.js';
import { coded } from '../../kit/coded.js';
import { tempFolder } from '../../kit/temp-folder.js';

type Action =
  | { readonly kind: 'event' | 'restart' }
  | { readonly kind: 'telemetry'; readonly latencies: readonly number[] }
  | { readonly kind: 'peek' | 'acknowledge'; readonly count: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('telemetry' as const),
      latencies: fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'event' } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' } as const) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('peek', 'acknowledge'), count: fc.integer({ min: 1, max: 4 }) }) },
);

const idOf = (boot: number): string => `start-number-${boot}`;

/** As `countBoot` gives it at the start with this number, after starts that left records. */
function bootsOf(boot: number): StoredBoots {
  const ids = Array.from({ length: boot }, (_, i) => [i + 1, idOf(i + 1)] as const);
  return { boot: { boot, bootId: idOf(boot) }, ids: new Map(ids) };
}

const EVENT = { device: DEVICE, at: '2026-01-01T00:00:00Z', kind: 'agent.started' };

function telemetryIn(record: OutboxRecord): Telemetry {
  return narrow(telemetrySchema, decode(record.payload), 'telemetry');
}

const sumOf = (records: readonly OutboxRecord[], figure: (telemetry: Telemetry) => number): number =>
  records.filter(({ kind }) => kind === 'telemetry').reduce((sum, record) => sum + figure(telemetryIn(record)), 0);

const predictions = (telemetry: Telemetry): number => telemetry.windows.reduce((sum, window) => sum + window.predictions, 0);
const sketched = (telemetry: Telemetry): number =>
  telemetry.windows.reduce((sum, window) => sum + QuantileSketch.decode(window.total).count, 0);
const errors = (telemetry: Telemetry): number => telemetry.windows.reduce((sum, window) => sum + (window.errors['TIMEOUT'] ?? 0), 0);

describe('the outbox, whatever happens in whatever order', () => {
  it('holds its bounds, loses and repeats nothing it does not say, and conserves counts when it coarsens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 50 }), fc.integer({ min: 3, max: 8 }), async (actions, outboxRecords) => {
        const limits: StoreLimits = { ...DEFAULT_STORE_LIMITS, outboxRecords, coarsestWindow: 30 * 60_000 };
        const folder = await tempFolder();
        let { db } = openDatabase(folder, 0);
        let outbox = new OutboxTable(db, bootsOf(1), limits);
        let boot = 1;
        let minute = 0;
        let appended = 0;
        let sent = 0;
        let lastSeq = 0;
        const problems: string[] = [];
        /** What a hub counts: the first payload it sees under each position. */
        const hub = new Map<string, OutboxRecord>();
        const offered: OutboxRecord[] = [];
        for (const step of actions) {
          if (step.kind === 'event' || step.kind === 'telemetry') {
            const latencies = step.kind === 'telemetry' ? step.latencies : [];
            const payload = step.kind === 'event' ? EVENT : telemetryOf(minute++, { fp32: latencies });
            const { seq } = outbox.append(step.kind, payload).position;
            if (seq <= lastSeq) problems.push(`position ${seq} after ${lastSeq}`);
            lastSeq = seq;
            appended += 1;
            sent += latencies.length;
          } else if (step.kind === 'peek') {
            const peeked = outbox.peek(0, step.count);
            for (const record of peeked) {
              const key = `${record.boot}/${record.seq}`;
              // Once offered it never changes under its position.
              const known = hub.get(key)?.payload ?? record.payload;
              if (Buffer.compare(known, record.payload) !== 0) problems.push(`${key} changed after it was offered`);
              hub.set(key, record);
            }
            offered.push(...peeked);
          } else if (step.kind === 'acknowledge') {
            outbox.acknowledge(offered.splice(0, step.count));
          } else {
            db.close();
            boot += 1;
            ({ db } = openDatabase(folder, 0));
            outbox = new OutboxTable(db, bootsOf(boot), limits);
          }
          const stats = outbox.stats();
          if (stats.records > outboxRecords) problems.push(`${stats.records} records`);
        }
        // Everything left reaches the hub; then nothing is missing but what was said to be dropped.
        const before = outbox.stats();
        const rest = outbox.peek(0, 1000);
        expect(rest).toHaveLength(before.records);
        expect(rest.reduce((bytes, record) => bytes + record.payload.byteLength, 0)).toBe(before.bytes);
        for (const record of rest) hub.set(`${record.boot}/${record.seq}`, record);
        const reached = [...hub.values()];
        expect(reached.length + before.coarsened + before.dropped).toBeGreaterThanOrEqual(appended);
        expect(sumOf(reached, predictions)).toBe(sumOf(reached, sketched));
        expect(sumOf(reached, predictions)).toBeLessThanOrEqual(sent);
        if (before.dropped === 0 && sumOf(reached, predictions) !== sent) problems.push('counts got lost');
        expect(problems).toEqual([]);
        db.close();
      }),
      { numRuns: 30 },
    );
  });

  it('merges evenly from the oldest, and never what was offered or would span too much', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ offered: fc.boolean(), length: fc.integer({ min: 1, max: 9 }) }), { maxLength: 20 }), (parts) => {
        let at = 0;
        const candidates = parts.map(({ offered, length }, seq) => {
          const from = at;
          at += length;
          return { seq, offered, from, to: at };
        });
        const pairs = coarsenPairs(candidates, 10);
        const spans = pairs.map(([older, newer]) => (candidates[newer]?.to ?? 0) - (candidates[older]?.from ?? 0));
        expect(spans).toEqual(spans.toSorted((a, b) => a - b));
        for (const [index, [older, newer]] of pairs.entries()) {
          expect(newer).toBe(older + 1);
          expect(candidates[older]?.offered === false && candidates[newer]?.offered === false).toBe(true);
          expect(spans[index]).toBeLessThanOrEqual(10);
        }
      }),
    );
  });
});

describe('the outbox when it is full', () => {
  it('coarsens before it drops, keeps errors and quantiles, and says both', async () => {
    const { db } = openDatabase(await tempFolder(), 0);
    const outbox = new OutboxTable(db, bootsOf(1), { ...DEFAULT_STORE_LIMITS, outboxRecords: 4, coarsestWindow: 8 * 60_000 });
    for (let minute = 0; minute < 16; minute += 1) outbox.append('telemetry', telemetryOf(minute, { fp32: [minute + 1], int8: [100] }));
    expect(outbox.stats()).toMatchObject({ records: 4, coarsened: 12, dropped: 0 });
    const records = outbox.peek(0, 10);
    const minutes = records.map((record) => telemetryIn(record)).map(({ from, to }) => (to - from) / 60_000);
    expect(minutes.reduce((sum, each) => sum + each, 0)).toBe(16);
    expect(Math.max(...minutes)).toBeLessThanOrEqual(8);
    expect(records.at(-1)?.seq).toBe(16);
    expect(sumOf(records, predictions)).toBe(32);
    expect(sumOf(records, errors)).toBe(32);
    const fp32 = records.flatMap((record) => telemetryIn(record).windows.filter(({ variant }) => variant === 'fp32'));
    const merged = new QuantileSketch();
    for (const window of fp32) merged.merge(QuantileSketch.decode(window.total));
    expect([merged.count, merged.min, merged.max, merged.sum]).toEqual([16, 1, 16, 136]);
    // All of it was offered now: nothing may be merged any more, so the oldest goes.
    outbox.append('event', EVENT);
    expect(outbox.stats()).toMatchObject({ records: 4, coarsened: 12, dropped: 1 });
    expect(outbox.peek(0, 10).map(({ seq }) => seq)).toEqual([...records.slice(1).map(({ seq }) => seq), 17]);
    db.close();
  });

  it('keeps what is acknowledged twice or never was from being counted', async () => {
    const { db } = openDatabase(await tempFolder(), 0);
    const outbox = new OutboxTable(db, bootsOf(3), DEFAULT_STORE_LIMITS);
    const { seq } = outbox.append('event', EVENT).position;
    outbox.acknowledge([{ boot: 2, bootId: idOf(2), seq }]);
    expect(outbox.stats().records).toBe(1);
    // A copy of this device counts alike: what it is acknowledged is not ours.
    outbox.acknowledge([{ boot: 3, bootId: 'start-of-a-copy', seq }]);
    outbox.acknowledge([{ boot: 3, seq }]);
    expect(outbox.stats().records).toBe(1);
    outbox.acknowledge([
      { boot: 3, bootId: idOf(3), seq },
      { boot: 3, bootId: idOf(3), seq },
      { boot: 3, bootId: idOf(3), seq: 99 },
    ]);
    expect(outbox.stats()).toEqual({ records: 0, bytes: 0, dropped: 0, coarsened: 0 });
    db.close();
  });

  it('refuses what the wire would refuse', async () => {
    const { db } = openDatabase(await tempFolder(), 0);
    const outbox = new OutboxTable(db, bootsOf(1), DEFAULT_STORE_LIMITS);
    expect(() => outbox.append('event', { ...EVENT, kind: 'No Kind' })).toThrow(coded('INPUT_SCHEMA'));
    expect(outbox.stats().records).toBe(0);
    expect(outbox.append('event', EVENT).position.seq).toBe(1);
    db.close();
  });
});
