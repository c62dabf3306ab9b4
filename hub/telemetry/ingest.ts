import type { LiveBus } from '#hub/kernel/live-bus.js';
import type { BrokerPort } from '#hub/broker/link.js';
import type { Db } from '#hub/store/database.js';
import { type Clock, sleep } from '#shared/kernel/clock.js';
import { type Millis, minutes, seconds } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { Ack } from '#shared/protocol/messages.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { ROWS } from '#shared/signals/rows.js';
import type { SignalTable } from '#shared/signals/table.js';
import { IngestFigures } from './ingest-figures.js';
import { type StorableRecord, type StoredBatch, storeBatch } from './ingest-store.js';
import { type IngestRecord, type RecordKind, readRecord } from './record.js';
import type { RollUpWidths } from './roll-up.js';

export interface IngestSettings {
  /** Records stored in one transaction at most. */
  readonly batchRecords: number;
  /** How long the first record of a batch waits for others. */
  readonly gather: Millis;
  /** Bounds of the queue; what comes beyond them is not taken (R4: the device keeps it). */
  readonly queueRecords: number;
  readonly queueBytes: number;
  readonly widths: RollUpWidths;
  /** Wait after a transaction failed (a full disk, mostly). */
  readonly retryAfter: Millis;
}

const MiB = 1024 * 1024;
export const INGEST_DEFAULTS: IngestSettings = {
  batchRecords: 512,
  gather: 20,
  queueRecords: 20_000,
  queueBytes: 64 * MiB,
  widths: { model: minutes(1), device: minutes(5) },
  retryAfter: seconds(1),
};
/** Keeps an acknowledgement full of refusals below LIMITS.controlMessageBytes. */
const RECORDS_PER_ACK = 128;
const REFUSAL_LENGTH = 200;

export interface IngestDeps {
  readonly db: Db;
  readonly link: BrokerPort;
  readonly fleet: string;
  readonly clock: Clock;
  readonly bus: LiveBus;
  readonly logger: Logger;
  readonly settings?: Partial<IngestSettings>;
  readonly signals?: SignalTable;
}

interface Waiting {
  readonly kind: RecordKind;
  readonly device: DeviceId;
  readonly payload: Uint8Array;
  readonly since: Millis;
}

/**
 * Takes in what devices report. Records gather into batches; a batch's positions and sums are committed in one transaction,
 * and only then are its records acknowledged to their devices (R3). A hub too slow to keep up acknowledges nothing
 * beyond its queue, and the devices' outboxes hold on to the rest.
 *
 * INVARIANTS: one transaction at a time; no record is acknowledged as stored before the commit that stored it.
 */
export class Ingest implements Service {
  readonly figures = new IngestFigures();
  readonly #deps: IngestDeps;
  readonly #settings: IngestSettings;
  readonly #stop = new AbortController();
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #cancelGather: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
    this.#settings = { ...INGEST_DEFAULTS, ...deps.settings };
  }

  async start(): Promise<void> {}

  async close(): Promise<void> {
    this.#stop.abort();
    this.#cancelGather?.();
    await this.#running;
  }

  get queued(): { readonly records: number; readonly bytes: number } {
    return { records: this.#queue.length, bytes: this.#queuedBytes };
  }

  /** Takes a message into the queue; false when it is full, and the device will send the record again. */
  offer(kind: RecordKind, device: DeviceId, payload: Uint8Array): boolean {
    const { queueRecords, queueBytes, batchRecords, gather } = this.#settings;
    if (this.#stop.signal.aborted || this.#queue.length >= queueRecords || this.#queuedBytes + payload.byteLength > queueBytes) {
      this.figures.shed();
      return false;
    }
    this.#queue.push({ kind, device, payload, since: this.#deps.clock.monotonic() });
    this.#queuedBytes += payload.byteLength;
    if (this.#running !== undefined) return true;
    if (this.#queue.length >= batchRecords) this.#wake();
    else this.#cancelGather ??= this.#deps.clock.schedule(gather, () => this.#wake());
    return true;
  }

  #wake(): void {
    this.#cancelGather?.();
    this.#cancelGather = undefined;
    this.#running ??= this.#drain().finally(() => {
      this.#running = undefined;
      if (this.#queue.length > 0 && !this.#stop.signal.aborted) this.#wake();
    });
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0 && !this.#stop.signal.aborted) {
      const batch = this.#queue.slice(0, this.#settings.batchRecords);
      this.#queue = this.#queue.slice(batch.length);
      for (const { payload } of batch) this.#queuedBytes -= payload.byteLength;
      if (await this.#take(batch)) continue;
      await sleep(this.#deps.clock, this.#settings.retryAfter, this.#stop.signal).catch(() => undefined);
    }
  }

  /** One batch from bytes to acknowledgements; false when some of it could not be stored. */
  async #take(batch: readonly Waiting[]): Promise<boolean> {
    const acks = new Acks();
    const storable: StorableRecord[] = [];
    const since = new Map<IngestRecord, Millis>();
    for (const { kind, device, payload, since: arrived } of batch) {
      const record = readRecord(kind, device, payload, this.#deps.signals);
      since.set(record, arrived);
      if (record.kind === 'telemetry' || record.kind === 'event') storable.push(record);
      else this.#turnAway(record, acks);
    }
    const stored = await this.#store(storable);
    for (const outcome of stored) this.#settle(outcome, since, acks);
    this.#acknowledge(acks);
    return (
      stored.reduce((sum, { fresh, duplicates, foreign }) => sum + fresh.length + duplicates.length + foreign.length, 0) === storable.length
    );
  }

  #turnAway(record: Extract<IngestRecord, { kind: 'refused' | 'unreadable' }>, acks: Acks): void {
    const { device, error } = record;
    this.#deps.logger.warn({ device, code: error.code, cause: error.message }, 'record refused');
    if (record.kind === 'unreadable') {
      this.figures.unreadable();
      return;
    }
    this.figures.refused(error.code);
    acks.add(device, { ...record.at, refused: { code: error.code, message: error.message.slice(0, REFUSAL_LENGTH) } });
  }

  /** Stores a batch in one transaction; when that fails, record by record, so that one that cannot be stored holds up no other. */
  async #store(records: readonly StorableRecord[]): Promise<StoredBatch[]> {
    if (records.length === 0) return [];
    try {
      return [await this.#commit(records)];
    } catch (cause) {
      this.figures.failedBatch();
      const error = asSkerryError(cause, 'HUB_DATABASE_FAILED');
      this.#deps.logger.error({ code: error.code, cause: error.message, records: records.length }, 'records could not be stored');
      if (records.length === 1 || error.code === 'DISK_FULL') return [];
    }
    const stored: StoredBatch[] = [];
    for (const record of records) stored.push(...(await this.#store([record])));
    return stored;
  }

  #commit(records: readonly StorableRecord[]): Promise<StoredBatch> {
    const { db, clock } = this.#deps;
    return db.transaction().execute((trx) => storeBatch(trx, records, this.#settings.widths, clock.now()));
  }

  #settle(batch: StoredBatch, since: ReadonlyMap<IngestRecord, Millis>, acks: Acks): void {
    const now = this.#deps.clock.monotonic();
    for (const record of batch.fresh) {
      acks.add(record.device, record.at);
      this.figures.stored(record.kind, now - (since.get(record) ?? now));
      this.#tell(record);
    }
    for (const record of batch.duplicates) {
      acks.add(record.device, record.at);
      this.figures.duplicate();
    }
    if (batch.leftOut > 0) {
      this.figures.leftOut(batch.leftOut);
      this.#deps.logger.warn({ versions: batch.leftOut }, 'versions that nobody published were not counted: too many of them are reported');
    }
    for (const { device } of batch.foreign) {
      this.figures.foreign();
      this.#deps.logger.warn({ device }, 'record of a device that does not belong to the fleet');
    }
  }

  /** An acknowledgement that gets lost does no harm: the device sends the record again and hears that it was stored. */
  #acknowledge(acks: Acks): void {
    const { link, fleet, logger } = this.#deps;
    for (const ack of acks.messages()) {
      link.publish(deviceTopic(fleet, ack.device, 'ack'), encodeMessage('ack', ack)).catch((cause: unknown) => {
        logger.debug({ device: ack.device, cause: asSkerryError(cause).message }, 'acknowledgement not delivered');
      });
    }
  }

  #tell(record: StorableRecord): void {
    const at = new Date(this.#deps.clock.now()).toISOString();
    if (record.kind === 'event') {
      this.#deps.bus.publish({ kind: 'device.event', at, event: record.message });
      return;
    }
    const models = record.windows.map(({ model, version, sums }) => ({ model, version, predictions: sums.of(ROWS.predictions) ?? 0 }));
    this.#deps.bus.publish({ kind: 'telemetry.window', at, device: record.device, models });
  }
}

/** Acknowledgements gathered by device. */
class Acks {
  readonly #records = new Map<DeviceId, Ack['records']>();

  add(device: DeviceId, record: Ack['records'][number]): void {
    const known = this.#records.get(device);
    if (known === undefined) this.#records.set(device, [record]);
    else known.push(record);
  }

  *messages(): Generator<Ack> {
    for (const [device, records] of this.#records) {
      for (let start = 0; start < records.length; start += RECORDS_PER_ACK) {
        yield { device, records: records.slice(start, start + RECORDS_PER_ACK) };
      }
    }
  }
}
