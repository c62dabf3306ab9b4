import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Db } from '#hub/store/database.js';
import { versionNumberSchema } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { ERROR_CODES, isErrorCode } from '#shared/kernel/error-registry.js';
import { ROWS } from '#shared/signals/rows.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS, type SignalTable } from '#shared/signals/table.js';
import { showSums } from '#shared/signals/view-schema.js';
import { failuresOf } from './failures.js';
import type { MetricsModelTable } from '#hub/store/tables/telemetry-tables.js';
import type { VersionMetrics } from './views.js';

interface MetricsFilter {
  readonly since: EpochMillis;
  readonly until?: EpochMillis | undefined;
  /** Only this device; from rows that are kept shorter and are coarser in time. */
  readonly device?: string | undefined;
}

/** Rows read at a time while merging: their sketches are not all in memory together. */
const PAGE = 500;

/** Sums of one version over some time. */
interface VersionSums {
  readonly version: number;
  readonly sums: Sums;
  /** First and last moment that is in them. */
  readonly from: EpochMillis;
  readonly to: EpochMillis;
}

/** Merged measurements of telemetry. */
export class MetricsQuery {
  readonly #db: Db;
  readonly #width: { readonly model: number; readonly device: number };
  readonly #table: SignalTable;

  constructor(db: Db, width: { readonly model: number; readonly device: number }, table: SignalTable = SIGNALS) {
    this.#db = db;
    this.#width = width;
    this.#table = table;
  }

  /** Every version of a model that did something in the time asked for, by version. Buckets that only overlap it count in full. */
  async model(model: string, filter: MetricsFilter): Promise<VersionMetrics[]> {
    return (await this.sums(model, filter)).map(metricsOf);
  }

  /** The same as sums of the signals that are shown. */
  async sums(model: string, filter: MetricsFilter): Promise<VersionSums[]> {
    const width = filter.device === undefined ? this.#width.model : this.#width.device;
    const wanted = [ROWS.predictions, ROWS.errors, ...this.#table.shown];
    const result: VersionSums[] = [];
    for (const version of await this.#versions(model)) {
      const sums = new Sums(this.#table);
      let first: EpochMillis | undefined;
      let last = filter.since - width;
      for (
        let rows = await this.#page(model, version, last, filter);
        rows.length > 0;
        rows = await this.#page(model, version, last, filter)
      ) {
        for (const row of rows) {
          sums.merge(Sums.stored(this.#table, row.signals), wanted);
          first ??= row.bucket;
          last = row.bucket;
        }
        // The database answers at once, so nothing else lets the others have their turn.
        await yieldToLoop();
      }
      if (first !== undefined) result.push({ version, sums, from: first, to: last + width });
    }
    return result;
  }

  async #versions(model: string): Promise<number[]> {
    const rows = await this.#db.selectFrom('metrics_total').select('version').where('model', '=', model).orderBy('version').execute();
    return rows.map((row) => row.version);
  }

  #page(model: string, version: number, after: EpochMillis, filter: MetricsFilter): Promise<Row[]> {
    return filter.device === undefined
      ? this.#modelPage(model, version, after, filter.until)
      : this.#devicePage(model, version, after, filter.until, filter.device);
  }

  #modelPage(model: string, version: number, after: EpochMillis, until: EpochMillis | undefined): Promise<Row[]> {
    return this.#db
      .selectFrom('metrics_model')
      .select(COLUMNS)
      .where('model', '=', model)
      .where('version', '=', version)
      .where('bucket', '>', after)
      .$if(until !== undefined, (query) => query.where('bucket', '<', until ?? 0))
      .orderBy('bucket')
      .limit(PAGE)
      .execute();
  }

  #devicePage(model: string, version: number, after: EpochMillis, until: EpochMillis | undefined, device: string): Promise<Row[]> {
    return this.#db
      .selectFrom('metrics_device')
      .select(COLUMNS)
      .where('device', '=', device)
      .where('model', '=', model)
      .where('version', '=', version)
      .where('bucket', '>', after)
      .$if(until !== undefined, (query) => query.where('bucket', '<', until ?? 0))
      .orderBy('bucket')
      .limit(PAGE)
      .execute();
  }
}

const COLUMNS = ['bucket', 'signals'] as const;
type Row = Pick<MetricsModelTable, (typeof COLUMNS)[number]>;

function metricsOf({ version, sums, from, to }: VersionSums): VersionMetrics {
  const predictions = sums.of(ROWS.predictions) ?? 0;
  const errors = sums.of(ROWS.errors) ?? new Map<string, number>();
  const rate = (count: number): number => (predictions === 0 ? 0 : count / predictions);
  const { failed, exposure, refused } = failuresOf(predictions, errors);
  return {
    version: versionNumberSchema.parse(version),
    predictions,
    errors: [...errors]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([code, count]) => ({
        code,
        ...(isErrorCode(code) && { fault: ERROR_CODES[code].fault }),
        count,
        rate: rate(count),
      })),
    errorRate: exposure === 0 ? 0 : failed / exposure,
    refused: { count: refused, rate: rate(refused) },
    signals: showSums(sums),
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
  };
}
