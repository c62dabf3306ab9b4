import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Db, Queryable } from '#hub/store/database.js';
import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import type { Baseline } from '../decide/evidence/window.js';
import { isActive, ROLLOUT_STATES } from '../decide/machine.js';
import { baselineOf, readBaseline, type StoredBaseline } from './baseline-text.js';
import type { DeviceRows } from './device-rows.js';
import { DeviceHistory } from './device-history.js';
import type { Needs } from './needs.js';

interface BaselinesOptions {
  readonly db: Db;
  readonly rows: DeviceRows;
  readonly needs: Needs;
  readonly rollout: string;
  /** The new version: what was done with it before does not count. */
  readonly version: number;
  /** When the evidence began, how far back it is looked, and the width of a bucket. */
  readonly begun: EpochMillis;
  readonly history: Millis;
  readonly bucket: Millis;
}

/** Stands for all devices together. */
const FLEET = '';
/** Devices stored in one transaction. */
const BATCH = 500;
const ENDED = ROLLOUT_STATES.filter((state) => !isActive(state));

/**
 * What each device did before the evidence of a rollout began. Read once and stored: what later reports are measured against
 * must not change under way, neither by late telemetry nor by a restart, and the tests rest on thresholds fixed beforehand.
 */
export class Baselines {
  readonly #options: BaselinesOptions;
  readonly #devices = new Map<DeviceId, Baseline | undefined>();
  /** Until every device is read: what is stored at the end, all at once. */
  readonly #pending: [DeviceId, StoredBaseline | undefined][] = [];
  #whole: DeviceHistory;
  #fleet: Baseline | undefined;
  #state: 'new' | 'reading' | 'stored' = 'new';

  constructor(options: BaselinesOptions) {
    this.#options = options;
    this.#whole = new DeviceHistory(options.needs);
  }

  /** What all devices together did. */
  get fleet(): Baseline | undefined {
    return this.#fleet;
  }

  of(device: DeviceId): Baseline | undefined {
    return this.#devices.get(device);
  }

  /** Reads what is missing of these devices, until `enough` says that it took long enough; resolves with how many are still missing. */
  async read(devices: Iterable<DeviceId>, enough: () => boolean): Promise<number> {
    if (this.#state === 'new') await this.#load();
    const missing = [...devices].filter((device) => !this.#devices.has(device));
    const joined: [DeviceId, StoredBaseline | undefined][] = [];
    let read = 0;
    for (const device of missing) {
      if (read > 0 && enough()) break;
      const own = await this.#historyOf(device);
      const baseline = own.baseline();
      this.#devices.set(device, baseline && baselineOf(baseline));
      read += 1;
      // A device that joined later has a history of its own; the fleet's stays as it was.
      if (this.#state === 'stored') joined.push([device, baseline]);
      else {
        this.#whole.merge(own);
        this.#pending.push([device, baseline]);
      }
      if (read % 8 === 0) await yieldToLoop();
    }
    if (joined.length > 0) await this.#store(this.#options.db, joined);
    if (read === missing.length && this.#state !== 'stored') await this.#storeAll();
    return missing.length - read;
  }

  async #historyOf(device: DeviceId): Promise<DeviceHistory> {
    const { rows, version, begun, history, bucket, needs } = this.#options;
    const own = new DeviceHistory(needs);
    for (const row of await rows.of(device, begun - history, begun - bucket)) if (row.version !== version) own.add(row.sums);
    return own;
  }

  /** The fleet's last: without it, a hub that ended in between begins anew. */
  async #storeAll(): Promise<void> {
    const { db, needs } = this.#options;
    for (let start = 0; start < this.#pending.length; start += BATCH) {
      await db.transaction().execute((trx) => this.#store(trx, this.#pending.slice(start, start + BATCH)));
      await yieldToLoop();
    }
    const fleet = this.#whole.baseline();
    await this.#store(db, [[FLEET, fleet]]);
    this.#fleet = fleet && baselineOf(fleet);
    this.#pending.length = 0;
    this.#whole = new DeviceHistory(needs);
    this.#state = 'stored';
  }

  async #store(db: Queryable, baselines: readonly (readonly [string, StoredBaseline | undefined])[]): Promise<void> {
    const { rollout, begun } = this.#options;
    const rows = baselines.map(([device, baseline]) => ({ rollout, device, begun, baseline: JSON.stringify(baseline ?? null) }));
    await db
      .insertInto('rollout_baselines')
      .values(rows)
      .onConflict((conflict) =>
        conflict.columns(['rollout', 'device']).doUpdateSet((eb) => ({ begun, baseline: eb.ref('excluded.baseline') })),
      )
      .execute();
  }

  /** What was stored before a restart, if all of it was; that of rollouts that ended is of no use any more. */
  async #load(): Promise<void> {
    const { db, rollout, begun } = this.#options;
    this.#state = 'reading';
    await db
      .deleteFrom('rollout_baselines')
      .where('rollout', 'in', (query) => query.selectFrom('rollouts').select('id').where('state', 'in', ENDED))
      .execute();
    await db.deleteFrom('rollout_baselines').where('rollout', '=', rollout).where('begun', '!=', begun).execute();
    const stored = await db.selectFrom('rollout_baselines').select(['device', 'baseline']).where('rollout', '=', rollout).execute();
    const fleet = stored.find((row) => row.device === FLEET);
    if (fleet === undefined) return;
    for (const { device, baseline } of stored) {
      if (device === FLEET) continue;
      const known = readBaseline(baseline);
      this.#devices.set(deviceIdSchema.parse(device), known && baselineOf(known));
    }
    const whole = readBaseline(fleet.baseline);
    this.#fleet = whole && baselineOf(whole);
    this.#state = 'stored';
  }
}
