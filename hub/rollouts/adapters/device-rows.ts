import type { Db } from '#hub/store/database.js';
import type { MetricsDeviceTable } from '#hub/store/tables/telemetry-tables.js';
import type { ModelName } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS, type SignalTable } from '#shared/signals/table.js';

/** What a device did with one version in one bucket, with the number of the last change. */
export interface ChangedRow extends Pick<MetricsDeviceTable, 'device' | 'version' | 'bucket' | 'changed'> {
  readonly sums: Sums;
}

/** Reads measurements of single devices of one model. */
export class DeviceRows {
  readonly #db: Db;
  readonly #model: ModelName;
  readonly #table: SignalTable;

  constructor(db: Db, model: ModelName, table: SignalTable = SIGNALS) {
    this.#db = db;
    this.#model = model;
    this.#table = table;
  }

  /** Everything of a device with buckets in [from, to], by version, then by time. */
  async of(device: DeviceId, from: EpochMillis, to: EpochMillis): Promise<ChangedRow[]> {
    const rows = await this.#columns()
      .where('device', '=', device)
      .where('bucket', '>=', from)
      .where('bucket', '<=', to)
      .orderBy('version')
      .orderBy('bucket')
      .execute();
    return rows.map((row) => this.#read(row));
  }

  /** Rows changed after `cursor`, at most so many, in the order of their changes. */
  async changedAfter(cursor: number, limit: number): Promise<ChangedRow[]> {
    const rows = await this.#columns().where('changed', '>', cursor).orderBy('changed').limit(limit).execute();
    return rows.map((row) => this.#read(row));
  }

  /** Number of the last change. */
  async last(): Promise<number> {
    const row = await this.#db.selectFrom('metrics_changes').select('last').where('model', '=', this.#model).executeTakeFirst();
    return row?.last ?? 0;
  }

  #columns() {
    return this.#db
      .selectFrom('metrics_device')
      .select(['device', 'version', 'bucket', 'changed', 'signals'])
      .where('model', '=', this.#model);
  }

  #read({ signals, ...row }: Omit<ChangedRow, 'sums'> & Pick<MetricsDeviceTable, 'signals'>): ChangedRow {
    return { ...row, sums: Sums.stored(this.#table, signals) };
  }
}
