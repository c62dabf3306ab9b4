import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Db } from '#hub/store/database.js';
import { versionNumberSchema } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { ERROR_CODES, isErrorCode } from '#shared/kernel/error-registry.js';
import type { QuantileSketch } from '#shared/stats/sketch.js';
import type { MetricsModelTable } from '#hub/store/tables/telemetry-tables.js';
import type { Quantiles, VersionMetrics } from './views.js';
import type { Signals } from './signals.js';
import { failuresOf } from './failures.js';
import { emptyMeasure, type Measure, mergeMeasure, readMeasure } from './measure.js';

export interface MetricsFilter {
  readonly since: EpochMillis;
  readonly until?: EpochMillis | undefined;
  /** Only this device; from rows that are kept shorter and are coarser in time. */
  readonly device?: string | undefined;
}

/** Rows read at a time while merging: their sketches are not all in memory together. */
const PAGE = 500;

/** Merged measurements of telemetry. */
export class MetricsQuery {
  readonly #db: Db;
  readonly #width: { readonly model: number; readonly device: number };

  constructor(db: Db, width: { readonly model: number; readonly device: number }) {
    this.#db = db;
    this.#width = width;
  }

  /** Every version of a model that did something in the time asked for, by version. Buckets that only overlap it count in full. */
  async model(model: string, filter: MetricsFilter): Promise<VersionMetrics[]> {
    const width = filter.device === undefined ? this.#width.model : this.#width.device;
    const result: VersionMetrics[] = [];
    for (const version of await this.#versions(model)) {
      const sum = emptyMeasure();
      let first: EpochMillis | undefined;
      let last = filter.since - width;
      for (
        let rows = await this.#page(model, version, last, filter);
        rows.length > 0;
        rows = await this.#page(model, version, last, filter)
      ) {
        for (const row of rows) {
          mergeMeasure(sum, readMeasure(row));
          first ??= row.bucket;
          last = row.bucket;
        }
        // The database answers at once, so nothing else lets the others have their turn.
        await yieldToLoop();
      }
      if (first !== undefined) result.push(metricsOf(version, sum, first, last + width));
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

const COLUMNS = ['bucket', 'predictions', 'errors', 'queue', 'compute', 'total', 'signals'] as const;
type Row = Pick<MetricsModelTable, (typeof COLUMNS)[number]>;

function metricsOf(version: number, measure: Measure, from: EpochMillis, to: EpochMillis): VersionMetrics {
  const { predictions, errors } = measure;
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
    latencyMs: { queue: quantilesOf(measure.queue), compute: quantilesOf(measure.compute), total: quantilesOf(measure.total) },
    ...signalViews(measure.signals),
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
  };
}

function signalViews({ crashes, golden, feedback, shadow, metrics }: Signals): Partial<VersionMetrics> {
  return {
    crashes,
    ...(golden && { golden }),
    ...(feedback && { feedback }),
    ...(shadow && {
      shadow: {
        compared: shadow.compared,
        disagreed: shadow.disagreed,
        dropped: shadow.dropped,
        maxError: shadow.maxError.max ?? null,
        costMs: quantilesOf(shadow.cost),
      },
    }),
    ...(metrics.size > 0 && { metrics: Object.fromEntries([...metrics].map(([name, values]) => [name, quantilesOf(values)])) }),
  };
}

function quantilesOf(sketch: QuantileSketch): Quantiles {
  return {
    count: sketch.count,
    p50: sketch.quantile(0.5) ?? null,
    p95: sketch.quantile(0.95) ?? null,
    p99: sketch.quantile(0.99) ?? null,
    max: sketch.max ?? null,
  };
}
