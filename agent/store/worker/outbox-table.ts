import type Database from 'better-sqlite3';
import { z } from 'zod';
import { encodeMessage } from '#shared/protocol/codec.js';
import { narrow } from '#shared/kernel/json.js';
import { eventSchema, telemetrySchema } from '#shared/protocol/messages.js';
import type { OutboxLoss } from '../calls.js';
import type { OutboxRecord, OutboxStats, Position } from '../contract.js';
import type { StoreLimits } from '../limits.js';
import { rememberBoot, type StoredBoots } from './boot.js';
import { type CoarsenCandidate, coarsenPairs, mergeTelemetry } from './coarsen.js';
import { outboxRow } from './rows.js';

const candidateRow = z.object({ seq: z.int(), offered: z.int(), window_from: z.int(), window_to: z.int() });
const totalsRow = z.object({ records: z.int(), bytes: z.int() });

/** Pairs tried before the oldest record is dropped instead: bounds the work of one append. */
const MERGE_TRIES = 8;

interface Totals {
  records: number;
  bytes: number;
}

/**
 * The table `outbox`.
 * INVARIANTS: a sequence number is given once, ever. A record handed out by `peek` is marked so durably before it leaves, and
 * from then on is only ever sent, acknowledged or dropped, never merged (R3). After every append both bounds hold.
 */
export class OutboxTable {
  readonly #db: Database.Database;
  readonly #limits: StoreLimits;
  readonly #boots: StoredBoots;
  #totals: Totals;

  constructor(db: Database.Database, boots: StoredBoots, limits: StoreLimits) {
    this.#db = db;
    this.#boots = boots;
    this.#limits = limits;
    const row = db.prepare<[]>('SELECT count(*) AS records, coalesce(sum(length(payload)), 0) AS bytes FROM outbox').get();
    this.#totals = narrow(totalsRow, row, 'outbox totals', 'STORE_CORRUPT');
  }

  append(kind: OutboxRecord['kind'], payload: Readonly<Record<string, unknown>>): { position: Position; loss: OutboxLoss } {
    const totals = { ...this.#totals };
    const { boot, bootId } = this.#boots.boot;
    const appended = this.#db.transaction(() => {
      rememberBoot(this.#db, this.#boots);
      const seq = this.#lastSeq() + 1;
      const position = { boot, bootId, seq };
      const encoded = encode(kind, { ...payload, ...position });
      this.#db
        .prepare('INSERT INTO outbox (seq, boot, kind, payload, window_from, window_to) VALUES (?, ?, ?, ?, ?, ?)')
        .run(seq, boot, kind, encoded.bytes, encoded.from ?? null, encoded.to ?? null);
      totals.records += 1;
      totals.bytes += encoded.bytes.byteLength;
      return { position, loss: this.#shrink(totals) };
    })();
    this.#totals = totals; // Only now: a failed transaction leaves the old figures true.
    return appended;
  }

  peek(afterSeq: number, limit: number): OutboxRecord[] {
    const rows = this.#db
      .prepare<[number, number]>('SELECT seq, boot, kind, payload, offered FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?')
      .all(afterSeq, limit);
    const records = narrow(z.array(outboxRow), rows, 'table outbox', 'STORE_CORRUPT');
    const last = records.at(-1);
    if (last !== undefined) {
      this.#db.prepare('UPDATE outbox SET offered = 1 WHERE seq > ? AND seq <= ? AND offered = 0').run(afterSeq, last.seq);
    }
    return records.map((record) => ({ ...record, bootId: this.#boots.ids.get(record.boot) }));
  }

  acknowledge(records: readonly Position[]): void {
    const totals = { ...this.#totals };
    const mine = records.filter(({ boot, bootId }) => bootId === this.#boots.ids.get(boot));
    this.#db.transaction(() => {
      for (const { boot, seq } of mine) this.#remove(totals, seq, boot);
    })();
    this.#totals = totals;
  }

  stats(): OutboxStats {
    return { ...this.#totals, dropped: this.#counter('outbox.dropped'), coarsened: this.#counter('outbox.coarsened') };
  }

  /** R4: oldest telemetry is coarsened while that is possible, then the oldest record of any kind goes; both are counted. */
  #shrink(totals: Totals): OutboxLoss {
    const loss = { dropped: 0, coarsened: 0 };
    while (totals.records > this.#limits.outboxRecords || totals.bytes > this.#limits.outboxBytes) {
      if (this.#coarsen(totals)) loss.coarsened += 1;
      else if (this.#dropOldest(totals)) loss.dropped += 1;
      else break;
    }
    this.#count('outbox.dropped', loss.dropped);
    this.#count('outbox.coarsened', loss.coarsened);
    return loss;
  }

  #coarsen(totals: Totals): boolean {
    for (const [older, newer] of coarsenPairs(this.#candidates(), this.#limits.coarsestWindow).slice(0, MERGE_TRIES)) {
      const [olderBytes, newerBytes] = [this.#payload(older), this.#payload(newer)];
      const merged = mergeTelemetry(olderBytes, newerBytes);
      if (merged === undefined) continue;
      this.#db
        .prepare(
          `UPDATE outbox SET payload = ?, window_from = min(window_from, (SELECT window_from FROM outbox WHERE seq = ?)),
             window_to = max(window_to, (SELECT window_to FROM outbox WHERE seq = ?)) WHERE seq = ?`,
        )
        .run(merged, older, older, newer);
      totals.bytes += merged.byteLength - newerBytes.byteLength;
      this.#remove(totals, older);
      return true;
    }
    return false;
  }

  #dropOldest(totals: Totals): boolean {
    const oldest = this.#db.prepare<[]>('SELECT min(seq) FROM outbox').pluck().get();
    // The newest record always stays, however tight the bounds.
    if (typeof oldest !== 'number' || totals.records <= 1) return false;
    this.#remove(totals, oldest);
    return true;
  }

  #candidates(): CoarsenCandidate[] {
    const rows = this.#db
      .prepare<[]>(
        "SELECT seq, offered, window_from, window_to FROM outbox WHERE kind = 'telemetry' AND window_from IS NOT NULL ORDER BY seq",
      )
      .all();
    return narrow(z.array(candidateRow), rows, 'table outbox', 'STORE_CORRUPT').map((row) => ({
      seq: row.seq,
      offered: row.offered !== 0,
      from: row.window_from,
      to: row.window_to,
    }));
  }

  #payload(seq: number): Uint8Array {
    const value = this.#db.prepare<[number]>('SELECT payload FROM outbox WHERE seq = ?').pluck().get(seq);
    return narrow(z.instanceof(Uint8Array), value, 'outbox payload', 'STORE_CORRUPT');
  }

  #remove(totals: Totals, seq: number, boot?: number): void {
    const size = this.#db
      .prepare<[number, number | null]>('DELETE FROM outbox WHERE seq = ? AND boot = coalesce(?, boot) RETURNING length(payload)')
      .pluck()
      .get(seq, boot ?? null);
    if (typeof size !== 'number') return; // Acknowledged twice, or dropped meanwhile.
    totals.records -= 1;
    totals.bytes -= size;
  }

  #lastSeq(): number {
    return Number(this.#db.prepare<[]>("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").pluck().get() ?? 0);
  }

  #counter(name: string): number {
    return Number(this.#db.prepare<[string]>('SELECT value FROM counters WHERE name = ?').pluck().get(name) ?? 0);
  }

  #count(name: string, by: number): void {
    if (by === 0) return;
    this.#db
      .prepare('INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value')
      .run(name, by);
  }
}

/** Bytes as the wire wants them, and the window bounds of telemetry. */
function encode(kind: OutboxRecord['kind'], payload: unknown): { bytes: Uint8Array; from?: number; to?: number } {
  if (kind === 'event') return { bytes: encodeMessage('event', narrow(eventSchema, payload, 'event')) };
  const telemetry = narrow(telemetrySchema, payload, 'telemetry');
  return { bytes: encodeMessage('telemetry', telemetry), from: telemetry.from, to: telemetry.to };
}
