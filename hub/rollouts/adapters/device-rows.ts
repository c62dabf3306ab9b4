import type { Db } from '#hub/store/database.js';
import type { MetricsDeviceTable } from '#hub/store/tables/telemetry-tables.js';
import type { ModelName } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { MeasuredRow } from './measured-window.js';
import type { Needs } from './needs.js';

/** A row with the number of its last change. */
export type ChangedRow = MeasuredRow & Pick<MetricsDeviceTable, 'device' | 'changed'>;

/** Reads measurements of single devices of one model, only the columns that are needed. */
export class DeviceRows {
  readonly #db: Db;
  readonly #model: ModelName;
  readonly #needs: Needs;

  constructor(db: Db, model: ModelName, needs: Needs) {
    this.#db = db;
    this.#model = model;
    this.#needs = needs;
  }

  /** Everything of a device with buckets in [from, to], by version, then by time. */
  of(device: DeviceId, from: EpochMillis, to: EpochMillis): Promise<ChangedRow[]> {
    return this.#columns()
      .where('device', '=', device)
      .where('bucket', '>=', from)
      .where('bucket', '<=', to)
      .orderBy('version')
      .orderBy('bucket')
      .execute();
  }

  /** Rows changed after `cursor`, at most so many, in the order of their changes. */
  changedAfter(cursor: number, limit: number): Promise<ChangedRow[]> {
    return this.#columns().where('changed', '>', cursor).orderBy('changed').limit(limit).execute();
  }

  /** Number of the last change. */
  async last(): Promise<number> {
    const row = await this.#db.selectFrom('metrics_changes').select('last').where('model', '=', this.#model).executeTakeFirst();
    return row?.last ?? 0;
  }

  #columns() {
    return this.#db
      .selectFrom('metrics_device')
      .select(['device', 'version', 'bucket', 'changed', 'predictions', 'errors'])
      .$if(this.#needs.latency, (query) => query.select('total'))
      .$if(this.#needs.signals, (query) => query.select('signals'))
      .where('model', '=', this.#model);
  }
}
