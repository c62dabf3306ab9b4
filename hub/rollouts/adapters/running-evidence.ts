import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Db } from '#hub/store/database.js';
import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { SignalTable } from '#shared/signals/table.js';
import { EvidenceBook } from '../decide/evidence/book.js';
import type { Lane } from '../decide/evidence/lane.js';
import type { Evidence, EvidenceQuery } from '../evidence-source.js';
import { Baselines } from './baselines.js';
import { type ChangedRow, DeviceRows } from './device-rows.js';
import { windowOf } from './measured-window.js';
import { type Needs, needsOf } from './needs.js';

interface ReaderOptions {
  readonly db: Db;
  readonly bucket: Millis;
  readonly history: Millis;
  readonly signals?: SignalTable | undefined;
}

/** What is known of a device. */
interface Known {
  readonly device: DeviceId;
  readonly lanes: Map<number, Lane>;
  /** Its windows of other versions count as control up to here. */
  until: EpochMillis;
  /** Changes up to this one are in its sums. */
  seen: number;
}

/** Rows read at a time: the database and the loop are free in between. */
const PAGE = 250;

/**
 * The running sums of one rollout's evidence, kept up with the database: every change of a row has a number, and each look
 * takes only the rows changed since the last. After a restart, and when something old of a device arrives late, the rows of
 * that device are read from the beginning; the sums are the same either way.
 *
 * A late report counts for the time in which the device measured it: canary and control are compared within the same time,
 * and a version that makes devices late must gain nothing by it. It can so still add to the evidence of harm, which is carried
 * through all waves; it never touches what earlier decisions recorded, and the history from before the rollout is fixed.
 */
export class RunningEvidence {
  readonly #query: EvidenceQuery;
  readonly #needs: Needs;
  readonly #rows: DeviceRows;
  readonly #baselines: Baselines;
  readonly #bucket: Millis;
  readonly #signals: SignalTable | undefined;
  readonly #begun: EpochMillis;
  readonly #known = new Map<string, Known>();
  /** Devices to be read from the beginning. */
  readonly #unread = new Set<Known>();
  #book: EvidenceBook | undefined;
  #cursor = 0;

  constructor({ db, bucket, history, signals }: ReaderOptions, query: EvidenceQuery) {
    this.#query = query;
    this.#bucket = bucket;
    this.#begun = query.waves[0]?.from ?? query.to;
    this.#needs = needsOf(query.plan.flat(), query.countRefused, signals);
    this.#rows = new DeviceRows(db, query.model, signals);
    this.#signals = signals;
    const { rollout, version } = query;
    this.#baselines = new Baselines({ db, rows: this.#rows, needs: this.#needs, rollout, version, begun: this.#begun, history, bucket });
  }

  /** Figures as of now; how many devices are still to be read when `enough` said that it took long enough. */
  async look(query: EvidenceQuery, enough: () => boolean): Promise<Evidence | number> {
    const canary = new Set(query.canary());
    const control = query.control();
    const missing = await this.#baselines.read([...canary, ...control.keys()], enough);
    if (missing > 0) return missing;
    const book = await this.#opened(query);
    book.begin(query.waves);
    this.#meet(canary, control);
    await this.#takeChanges(book);
    const unread = await this.#readWhole(book, enough);
    return unread > 0 ? unread : book.figures({ to: query.to, canary, control });
  }

  async #opened({ gates, plan }: EvidenceQuery): Promise<EvidenceBook> {
    if (this.#book === undefined) {
      // What changes from here on is taken as a change; what was there before is read with its device.
      this.#cursor = await this.#rows.last();
      this.#book = new EvidenceBook({
        gates,
        planned: plan.length,
        signals: this.#signals,
        fleet: this.#baselines.fleet,
        baseline: (device) => this.#baselines.of(device),
      });
    }
    return this.#book;
  }

  /** Takes notice of who is in which group now. */
  #meet(canary: ReadonlySet<DeviceId>, control: ReadonlyMap<DeviceId, EpochMillis>): void {
    for (const device of canary) if (!control.has(device)) this.#meetOne(device, Number.NEGATIVE_INFINITY);
    for (const [device, until] of control) this.#meetOne(device, until);
  }

  #meetOne(device: DeviceId, until: EpochMillis): void {
    const known = this.#known.get(device);
    if (known === undefined) {
      const made = { device, lanes: new Map(), until, seen: 0 };
      this.#known.set(device, made);
      this.#unread.add(made);
      return;
    }
    if (known.until === until) return;
    const shorter = until < known.until;
    known.until = until;
    const fits = [...known.lanes.values()].every((lane) => lane.group === 'canary' || lane.endAt(until));
    if (!shorter || !fits) this.#unread.add(known);
  }

  async #takeChanges(book: EvidenceBook): Promise<void> {
    for (;;) {
      const rows = await this.#rows.changedAfter(this.#cursor, PAGE);
      for (const row of rows) {
        const known = this.#known.get(row.device);
        if (known !== undefined && row.changed > known.seen && !this.#put(book, known, row)) this.#unread.add(known);
        this.#cursor = row.changed;
      }
      if (rows.length < PAGE) return;
      await yieldToLoop();
    }
  }

  async #readWhole(book: EvidenceBook, enough: () => boolean): Promise<number> {
    let read = 0;
    for (const known of this.#unread) {
      if (read > 0 && enough()) break;
      const rows = await this.#rows.of(known.device, this.#begun - this.#bucket + 1, Number.MAX_SAFE_INTEGER);
      for (const lane of known.lanes.values()) lane.clear();
      for (const row of rows) {
        this.#put(book, known, row);
        known.seen = Math.max(known.seen, row.changed);
      }
      this.#unread.delete(known);
      read += 1;
      if (read % 8 === 0) await yieldToLoop();
    }
    return this.#unread.size;
  }

  /** False when the row is older than what is summed already. */
  #put(book: EvidenceBook, known: Known, row: ChangedRow): boolean {
    const end = row.bucket + this.#bucket;
    const canary = row.version === this.#query.version;
    // The bucket in which the evidence began counts whole; a bucket in which a device was told does not count for the control.
    if (end <= this.#begun || (!canary && end > known.until)) return true;
    const lane = known.lanes.get(row.version) ?? book.lane(known.device, canary ? 'canary' : 'control', row.version);
    known.lanes.set(row.version, lane);
    const place = { device: known.device, from: row.bucket, length: this.#bucket };
    return book.put(lane, windowOf(place, row.sums, this.#needs));
  }
}
