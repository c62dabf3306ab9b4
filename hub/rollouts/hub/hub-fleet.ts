import type { DesiredIssuer } from '#hub/fleet/desired-issuer.js';
import { reportedOf } from '#hub/fleet/device-view.js';
import { readLabels } from '#hub/fleet/labels.js';
import { heldBy } from '#hub/fleet/standing.js';
import { candidateProgress, progressOf } from '#hub/fleet/progress.js';
import type { Db, Queryable } from '#hub/store/database.js';
import { digestSchema, type ModelName, versionNumberSchema } from '#shared/bundle/names.js';
import type { Clock, EpochMillis } from '#shared/kernel/clock.js';
import { capabilitiesSchema, type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { Observation } from '../devices.js';
import type { PlanDevice } from '../plan.js';
import type { FleetPort, Wish } from '../ports.js';
import { currentTarget, type Target } from './current-target.js';

/** Devices per query: SQLite binds at most 32,766 values (sqlite.org/limits.html). */
const PAGE = 1000;

type ObservedWish = Parameters<FleetPort['observe']>[0][number];

/** The hub's own devices, wishes and reports behind the rollouts' port. */
export class HubFleet implements FleetPort {
  readonly #db: Db;
  readonly #issuer: DesiredIssuer;
  readonly #clock: Clock;

  constructor(db: Db, issuer: DesiredIssuer, clock: Clock) {
    this.#db = db;
    this.#issuer = issuer;
    this.#clock = clock;
  }

  async members(): Promise<readonly PlanDevice[]> {
    const rows = await this.#db.selectFrom('devices').select(['id', 'labels', 'capabilities']).where('revoked_at', 'is', null).execute();
    return rows.map((row) => ({
      id: deviceIdSchema.parse(row.id),
      labels: readLabels(row.labels),
      capabilities: capabilitiesSchema.parse(JSON.parse(row.capabilities)),
    }));
  }

  async current(model: ModelName, devices: readonly DeviceId[]): Promise<ReadonlyMap<DeviceId, Target>> {
    const found = new Map<DeviceId, Target>();
    for (const page of pages(devices)) {
      const wishes = await this.#db
        .selectFrom('desired_models')
        .select(['device', 'version', 'manifest_digest'])
        .where('model', '=', model)
        .where('device', 'in', page)
        .execute();
      const wished = new Map(
        wishes.map((row) => [
          row.device,
          { version: versionNumberSchema.parse(row.version), manifest: digestSchema.parse(row.manifest_digest) },
        ]),
      );
      const states = await this.#db.selectFrom('device_states').select(['device', 'reported']).where('device', 'in', page).execute();
      const reports = new Map(states.map((row) => [row.device, reportedOf(row)]));
      for (const device of page) {
        const target = currentTarget(model, wished.get(device), reports.get(device));
        if (target !== undefined) found.set(device, target);
      }
    }
    return found;
  }

  async observe(wishes: readonly ObservedWish[]): Promise<ReadonlyMap<DeviceId, Observation>> {
    const seen = new Map<DeviceId, Observation>();
    const now = this.#clock.now();
    for (const page of pages(wishes)) {
      const byDevice = new Map(page.map((wish) => [wish.device, wish]));
      const rows = await this.#db
        .selectFrom('device_states')
        .leftJoin('desired_states', 'desired_states.device', 'device_states.device')
        .select([
          'device_states.device',
          'device_states.reported',
          'device_states.reported_received_at',
          'device_states.presence',
          'device_states.presence_changed_at',
          'desired_states.counter',
        ])
        .where('device_states.device', 'in', [...byDevice.keys()])
        .execute();
      for (const row of rows) {
        const device = deviceIdSchema.parse(row.device);
        const wish = byDevice.get(device);
        if (wish === undefined) continue;
        const heardAt = row.presence === 'online' ? now : latest(row.reported_received_at, row.presence_changed_at);
        seen.set(device, { ...outcomeOf(wish, row.counter ?? 0, reportedOf(row)), heardAt });
      }
    }
    return seen;
  }

  held(rollout: string, model: ModelName): Promise<ReadonlyMap<DeviceId, Target | null>> {
    return heldBy(this.#db, rollout, model);
  }

  issue(devices: readonly DeviceId[]): Promise<void> {
    return this.#issuer.issue(devices);
  }

  /** Writes wishes in the transaction of the change they belong to; the rollouts' store calls it. */
  write(trx: Queryable, wishes: readonly Wish[]): Promise<void> {
    return this.#issuer.writeWishes(trx, wishes);
  }
}

/** What a report says of a wish. One that does not know the newest statement says nothing, unless it says that it refused it. */
export function outcomeOf(wish: ObservedWish, counter: number, reported: Reported | undefined): Omit<Observation, 'heardAt'> {
  if (reported === undefined) return { outcome: 'pending' };
  const { desired } = reported;
  if (desired.counter < counter)
    return desired.refused === undefined ? { outcome: 'pending' } : { outcome: 'failed', error: desired.refused };
  if (wish.action === 'alone') {
    const beside = reported.models.find((entry) => entry.model === wish.model)?.candidate;
    return { outcome: beside === undefined ? 'reached' : 'pending' };
  }
  if (wish.target === null) {
    const serving = reported.models.find((entry) => entry.model === wish.model)?.serving ?? null;
    return { outcome: serving === null ? 'reached' : 'pending' };
  }
  const wanted = { model: wish.model, counter, ...wish.target };
  const progress = wish.action === 'serve' ? progressOf(wanted, reported) : candidateProgress({ ...wanted, action: wish.action }, reported);
  if (progress.state === 'serving') return { outcome: 'reached' };
  if (progress.state !== 'refused') return { outcome: 'pending' };
  return progress.error === undefined ? { outcome: 'failed' } : { outcome: 'failed', error: progress.error };
}

function latest(a: EpochMillis | null, b: EpochMillis | null): EpochMillis | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

function* pages<T>(items: readonly T[]): Generator<T[]> {
  for (let start = 0; start < items.length; start += PAGE) yield items.slice(start, start + PAGE);
}
