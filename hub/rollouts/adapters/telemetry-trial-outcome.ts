import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Db } from '#hub/store/database.js';
import { failuresOf } from '#hub/telemetry/failures.js';
import { emptyMeasure, type Measure, mergeMeasure, readMeasure } from '#hub/telemetry/measure.js';
import type { Millis } from '#shared/kernel/time.js';
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
        .selectAll()
        .where('model', '=', model)
        .where('bucket', '=', bucket)
        .execute();
      for (const row of page) {
        const isNew = row.version === version;
        if (!(isNew ? fresh : old).has(row.device)) continue;
        const arm = isNew ? arms.new : arms.old;
        mergeMeasure(arm.sum, readMeasure(row));
        arm.devices.add(row.device);
        arm.versions.add(row.version);
      }
      await yieldToLoop();
    }
    const { shadow } = arms.new.sum.signals;
    return compareArms({ from, to }, { new: sumsOf(arms.new, countRefused), old: sumsOf(arms.old, countRefused) }, shadow);
  }
}

interface Arm {
  readonly sum: Measure;
  readonly devices: Set<string>;
  readonly versions: Set<number>;
}

function emptyArm(): Arm {
  return { sum: emptyMeasure(), devices: new Set(), versions: new Set() };
}

function sumsOf({ sum, devices, versions }: Arm, countRefused: boolean | undefined): ArmSums {
  const { predictions, errors, total, signals } = sum;
  const { failed, exposure } = failuresOf(predictions, errors, countRefused);
  return { versions, devices, predictions: exposure, failed, latency: total, feedback: signals.feedback, metrics: signals.metrics };
}
