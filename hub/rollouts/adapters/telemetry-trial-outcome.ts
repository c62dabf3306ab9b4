import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Db } from '#hub/store/database.js';
import { failedOf } from '#hub/telemetry/tally.js';
import type { Millis } from '#shared/kernel/time.js';
import { ROWS } from '#shared/signals/rows.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS } from '#shared/signals/table.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import { type ArmSums, compareArms, type TrialOutcome } from '../decide/trial-outcome.js';
import type { TrialOutcomeQuery, TrialOutcomeSource } from '../ports.js';

/** Reads what a rollout came to out of what devices reported; kept for as long as their own figures are. */
export class TelemetryTrialOutcome implements TrialOutcomeSource {
  readonly #db: Db;
  readonly #bucket: Millis;

  /** `bucket`: width of a bucket of one device in `metrics_device`. */
  constructor(db: Db, bucket: Millis) {
    this.#db = db;
    this.#bucket = bucket;
  }

  async outcome({ model, version, from, to, fresh, old, countRefused }: TrialOutcomeQuery): Promise<TrialOutcome> {
    const arms = { new: emptyArm(), old: emptyArm() };
    const rows = this.#db
      .selectFrom('metrics_device')
      .where('model', '=', model)
      .where('bucket', '>', from - this.#bucket)
      .where('bucket', '<=', to);
    const buckets = await rows.select('bucket').distinct().orderBy('bucket').execute();
    // One bucket at a time: the database and the loop are free in between.
    for (const { bucket } of buckets) {
      const page = await this.#db
        .selectFrom('metrics_device')
        .select(['device', 'version', 'signals'])
        .where('model', '=', model)
        .where('bucket', '=', bucket)
        .execute();
      for (const row of page) {
        const isNew = row.version === version;
        if (!(isNew ? fresh : old).has(row.device)) continue;
        const arm = isNew ? arms.new : arms.old;
        arm.sums.merge(Sums.stored(SIGNALS, row.signals), COMPARED);
        arm.devices.add(row.device);
        arm.versions.add(row.version);
      }
      await yieldToLoop();
    }
    const shadow = arms.new.sums.of(ROWS.shadow);
    return compareArms({ from, to }, { new: sumsOf(arms.new, countRefused), old: sumsOf(arms.old, countRefused) }, shadow);
  }
}

/** What both sides are compared by. */
const COMPARED = [ROWS.predictions, ROWS.errors, ROWS.latency, ROWS.feedback, ROWS.metric, ROWS.shadow];

interface Arm {
  readonly sums: Sums;
  readonly devices: Set<string>;
  readonly versions: Set<number>;
}

function emptyArm(): Arm {
  return { sums: new Sums(SIGNALS), devices: new Set(), versions: new Set() };
}

function sumsOf({ sums, devices, versions }: Arm, countRefused: boolean | undefined): ArmSums {
  const { events: failed, exposure: predictions } = failedOf(sums, countRefused);
  return {
    versions,
    devices,
    predictions,
    failed,
    latency: sums.of(ROWS.latency) ?? new QuantileSketch(),
    feedback: sums.of(ROWS.feedback),
    metrics: sums.of(ROWS.metric) ?? new Map(),
  };
}
