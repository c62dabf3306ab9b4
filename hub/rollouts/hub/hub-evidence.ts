import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Db } from '#hub/store/database.js';
import { emptyMeasure, type Measure, mergeMeasure, readMeasure } from '#hub/telemetry/measure.js';
import type { MetricsDeviceTable } from '#hub/telemetry/tables.js';
import type { ModelName } from '#shared/bundle/names.js';
import { type Clock, type EpochMillis, hours, type Millis, seconds } from '#shared/kernel/clock.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { EvidenceBook } from '../evidence/book.js';
import type { Evidence, EvidenceQuery, EvidenceSource } from '../evidence/source.js';
import type { Baseline, Group } from '../evidence/window.js';
import { windowOf } from './measured-window.js';

export interface HubEvidenceDeps {
  readonly db: Db;
  readonly clock: Clock;
  /** Width of a bucket of one device in `metrics_device`. */
  readonly bucket: Millis;
  /** How far back a device's own history is looked at (default 24 h: every time of the day once). */
  readonly history?: Millis;
  /** Figures are read again at most so often (default 15 s), and never more than a twentieth of the time is spent reading. */
  readonly refresh?: Millis;
}

interface Baselines {
  readonly key: string;
  readonly devices: ReadonlyMap<DeviceId, Baseline>;
  readonly fleet: Baseline | undefined;
}

interface Cached {
  readonly key: string;
  readonly evidence: Evidence;
  readonly validUntil: Millis;
}

/** Figures of gates from what devices reported, per device and bucket. */
export class HubEvidence implements EvidenceSource {
  readonly #deps: HubEvidenceDeps;
  readonly #baselines = new Map<string, Baselines>();
  readonly #cached = new Map<string, Cached>();

  constructor(deps: HubEvidenceDeps) {
    this.#deps = deps;
  }

  async figures(query: EvidenceQuery): Promise<Evidence> {
    const { clock } = this.#deps;
    const key = `${query.wave}/${query.from}/${query.canary().length}`;
    const cached = this.#cached.get(query.rollout);
    if (cached?.key === key && clock.monotonic() < cached.validUntil) return cached.evidence;
    const begun = clock.monotonic();
    const evidence = await this.#read(query);
    const took = clock.monotonic() - begun;
    this.#cached.set(query.rollout, {
      key,
      evidence,
      validUntil: clock.monotonic() + Math.max(this.#deps.refresh ?? seconds(15), took * 20),
    });
    return evidence;
  }

  async #read(query: EvidenceQuery): Promise<Evidence> {
    const baselines = await this.#baselineOf(query);
    const book = new EvidenceBook({
      gates: query.gates,
      from: query.from,
      lasts: query.lasts,
      fleet: baselines.fleet,
      baseline: (device) => baselines.devices.get(device),
    });
    const groups = groupsOf(query);
    // The bucket the wave began in counts whole: waves may be shorter than a bucket.
    for await (const row of this.#rows(query.model, query.from - this.#deps.bucket + 1, query.to)) {
      const device = deviceIdSchema.parse(row.device);
      const group = groups.get(device);
      if (group === undefined || (row.version === query.version) !== (group === 'canary')) continue;
      book.add(windowOf(device, row.bucket, this.#deps.bucket, readMeasure(row)), group);
    }
    return book.figures(query.to);
  }

  /** Rows of a model with buckets in [from, to], one bucket at a time: the database and the loop are free in between. */
  async *#rows(model: ModelName, from: EpochMillis, to: EpochMillis): AsyncGenerator<MetricsDeviceTable> {
    const { db } = this.#deps;
    const inRange = db.selectFrom('metrics_device').where('model', '=', model).where('bucket', '>=', from).where('bucket', '<=', to);
    const buckets = await inRange.select('bucket').distinct().orderBy('bucket').execute();
    for (const { bucket } of buckets) {
      yield* await db.selectFrom('metrics_device').selectAll().where('model', '=', model).where('bucket', '=', bucket).execute();
      await yieldToLoop();
    }
  }

  /** What each device reported of other versions before the wave; read once for a wave. */
  async #baselineOf(query: EvidenceQuery): Promise<Baselines> {
    const key = `${query.wave}/${query.from}`;
    const known = this.#baselines.get(query.rollout);
    if (known?.key === key) return known;
    const length = this.#deps.history ?? hours(24);
    const sums = new Map<DeviceId, Measure>();
    const all = emptyMeasure();
    for await (const row of this.#rows(query.model, query.from - length, query.from - 1)) {
      if (row.version === query.version) continue;
      const device = deviceIdSchema.parse(row.device);
      const sum = sums.get(device) ?? emptyMeasure();
      sums.set(device, sum);
      const measure = readMeasure(row);
      mergeMeasure(sum, measure);
      mergeMeasure(all, measure);
    }
    const from = query.from - length;
    const baselines: Baselines = {
      key,
      devices: new Map([...sums].map(([device, sum]) => [device, windowOf(device, from, length, sum)])),
      fleet: all.predictions === 0 ? undefined : windowOf(deviceIdSchema.parse('fleet'), from, length, all),
    };
    this.#baselines.set(query.rollout, baselines);
    return baselines;
  }
}

function groupsOf(query: EvidenceQuery): ReadonlyMap<DeviceId, Group> {
  const groups = new Map<DeviceId, Group>();
  for (const device of query.control()) groups.set(device, 'control');
  for (const device of query.canary()) groups.set(device, 'canary');
  return groups;
}
