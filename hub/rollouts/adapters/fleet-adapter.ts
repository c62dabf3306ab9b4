import type { DesiredIssuer } from '#hub/fleet/desired-issuer.js';
import { reportedOf } from '#hub/fleet/device-view.js';
import { readLabels } from '#hub/fleet/labels.js';
import { heldBy } from '#hub/fleet/standing.js';
import { candidateProgress, type Progress, progressOf, refusalProgress } from '#hub/fleet/decide/progress.js';
import type { Db, Queryable } from '#hub/store/database.js';
import { digestSchema, type ModelName, versionNumberSchema } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { isTrustCode } from '#shared/kernel/error-registry.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { capabilitiesSchema, type DeviceId, deviceIdSchema, type Labels } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { Observation } from '../decide/devices.js';
import type { PlanDevice } from '../decide/plan.js';
import type { FleetPort, Wish } from '../ports.js';
import { currentTarget, type Target } from './current-target.js';
import { type ObservedWish, type ReadObservation, ObservationCache } from './observation-cache.js';
import { stillWished } from './still-wished.js';

/** Devices per query: SQLite binds at most 32,766 values (sqlite.org/limits.html). */
const PAGE = 1000;

interface FleetAdapterDeps {
  readonly db: Db;
  readonly issuer: DesiredIssuer;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The hub's own devices, wishes and reports behind the rollouts' port. */
export class FleetAdapter implements FleetPort {
  readonly #db: Db;
  readonly #issuer: DesiredIssuer;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #outcomes = new ObservationCache();
  /** Devices whose statement is being made, and how many times over. */
  readonly #issuing = new Map<string, number>();

  constructor({ db, issuer, clock, logger }: FleetAdapterDeps) {
    this.#db = db;
    this.#issuer = issuer;
    this.#clock = clock;
    this.#logger = logger;
  }

  async members(): Promise<readonly PlanDevice[]> {
    const rows = await this.#db.selectFrom('devices').select(['id', 'labels', 'capabilities']).where('revoked_at', 'is', null).execute();
    return rows.map((row) => ({
      id: deviceIdSchema.parse(row.id),
      labels: readLabels(row.labels),
      capabilities: capabilitiesSchema.parse(JSON.parse(row.capabilities)),
    }));
  }

  async labelsOf(devices: readonly DeviceId[]): Promise<ReadonlyMap<DeviceId, Labels>> {
    const found = new Map<DeviceId, Labels>();
    for (const page of pages(devices)) {
      const rows = await this.#db
        .selectFrom('devices')
        .select(['id', 'labels'])
        .where('revoked_at', 'is', null)
        .where('id', 'in', page)
        .execute();
      for (const row of rows) found.set(deviceIdSchema.parse(row.id), readLabels(row.labels));
    }
    return found;
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
    for (const page of pages(wishes)) await this.#observePage(page, seen);
    return seen;
  }

  /** Reads when each device was last heard of, and parses the reports that changed since they were looked at last. */
  async #observePage(page: readonly ObservedWish[], seen: Map<DeviceId, Observation>): Promise<void> {
    const now = this.#clock.now();
    const byDevice = new Map<string, ObservedWish>(page.map((wish) => [wish.device, wish]));
    const rows = await this.#db
      .selectFrom('device_states')
      .innerJoin('devices', 'devices.id', 'device_states.device')
      .leftJoin('desired_states', 'desired_states.device', 'device_states.device')
      .select([
        'device_states.device',
        'device_states.revision',
        'device_states.reported_received_at',
        'device_states.presence',
        'device_states.presence_changed_at',
        'desired_states.counter',
        'devices.revoked_at',
        'devices.enrolled_at',
      ])
      .where('device_states.device', 'in', [...byDevice.keys()])
      .execute();
    const changed = rows.filter(({ device, counter, revision }) => {
      const wish = byDevice.get(device);
      return wish !== undefined && this.#outcomes.find(wish, counter ?? 0, revision) === undefined;
    });
    const reports = await this.#reports(changed.map((row) => row.device));
    // Another machine under the name of one that was told: where that had been removed, what it was told is gone with it.
    const others = rows.filter((row) => row.enrolled_at > (byDevice.get(row.device)?.decidedAt ?? 0)).map((row) => row.device);
    const kept = await stillWished(
      this.#db,
      others.flatMap((device) => byDevice.get(device) ?? []),
    );
    for (const row of rows) {
      const wish = byDevice.get(row.device);
      if (wish === undefined) continue;
      const isAnew = row.enrolled_at > wish.decidedAt && !kept.has(row.device);
      if (row.revoked_at !== null || isAnew) {
        seen.set(wish.device, { outcome: row.revoked_at === null ? 'anew' : 'gone', heardAt: null });
        continue;
      }
      const heardAt = row.presence === 'online' ? now : latest(row.reported_received_at, row.presence_changed_at);
      // What the device says, it says of what it was told before.
      if (this.#issuing.has(row.device)) {
        seen.set(wish.device, { outcome: 'pending', heardAt });
        continue;
      }
      const counter = row.counter ?? 0;
      let outcome = this.#outcomes.find(wish, counter, row.revision);
      if (outcome === undefined) {
        const report = reports.get(row.device);
        outcome = outcomeOf(wish, counter, report?.reported);
        // The revision it was read with: when another report came in between, the next look sees that.
        this.#outcomes.keep(wish, counter, report?.revision ?? row.revision, outcome);
      }
      seen.set(wish.device, { ...outcome, heardAt });
    }
  }

  async #reports(
    devices: readonly string[],
  ): Promise<ReadonlyMap<string, { readonly revision: number; readonly reported: Reported | undefined }>> {
    if (devices.length === 0) return new Map();
    const rows = await this.#db
      .selectFrom('device_states')
      .select(['device', 'revision', 'reported'])
      .where('device', 'in', devices)
      .execute();
    return new Map(rows.map((row) => [row.device, { revision: row.revision, reported: reportedOf(row) }]));
  }

  held(rollout: string, model: ModelName): Promise<ReadonlyMap<DeviceId, Target | null>> {
    return heldBy(this.#db, rollout, model);
  }

  /** Resolves at once: signing for a large wave takes minutes, in which others want to look and act. Until it is done, nobody has decided. */
  issue(devices: readonly DeviceId[]): Promise<void> {
    for (const device of devices) this.#issuing.set(device, (this.#issuing.get(device) ?? 0) + 1);
    void this.#issuer
      .issue(devices)
      .catch((cause: unknown) =>
        this.#logger.error(
          { cause: asSkerryError(cause).message },
          'the decision of a rollout could not be issued; retrying within an hour',
        ),
      )
      .finally(() => {
        for (const device of devices) {
          const left = (this.#issuing.get(device) ?? 0) - 1;
          if (left > 0) this.#issuing.set(device, left);
          else this.#issuing.delete(device);
        }
      });
    return Promise.resolve();
  }

  /** Writes wishes in the transaction of the change they belong to; the rollouts' store calls it. */
  write(trx: Queryable, wishes: readonly Wish[]): Promise<void> {
    return this.#issuer.writeWishes(trx, wishes);
  }
}

/** What a report says of a wish. One that does not know the newest statement says nothing, unless it says that it refused it for good. */
export function outcomeOf(wish: ObservedWish, counter: number, reported: Reported | undefined): ReadObservation {
  if (reported === undefined) return { outcome: 'pending' };
  const { desired } = reported;
  if (desired.counter < counter) return toOutcome(refusalProgress(desired));
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
  return progress.state === 'serving' ? { outcome: 'reached' } : toOutcome(progress);
}

/** A version that never began for want of trust is begun by the device once it can. */
function toOutcome({ state, install, error }: Pick<Progress, 'state' | 'install' | 'error'>): ReadObservation {
  if (state === 'unsupported') return error === undefined ? { outcome: 'unsupported' } : { outcome: 'unsupported', error };
  if (state !== 'refused' || (install === 'wanted' && isTrustCode(error?.code ?? ''))) return { outcome: 'pending' };
  return error === undefined ? { outcome: 'failed' } : { outcome: 'failed', error };
}

function latest(a: EpochMillis | null, b: EpochMillis | null): EpochMillis | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

function* pages<T>(items: readonly T[]): Generator<T[]> {
  for (let start = 0; start < items.length; start += PAGE) yield items.slice(start, start + PAGE);
}
