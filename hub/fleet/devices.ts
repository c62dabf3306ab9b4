import type { LiveBus } from '#hub/kernel/live-bus.js';
import type { Db, Queryable } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { type DeviceId, deviceIdSchema, type Labels, labelsSchema } from '#shared/protocol/device.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { type DeviceDetail, type DeviceRow, type DeviceSummary, detailOf, iso, summaryOf } from './device-view.js';
import type { DeviceMarks } from './device-marks.js';
import { effectiveLabels, type HubLabels, readHubLabels, readLabels } from './labels.js';
import { parseSelector } from './decide/selector.js';
import { requireTimeZone } from './decide/time-zone.js';

interface DeviceFilter {
  /** Label selector in the grammar of Kubernetes. */
  readonly selector?: string | undefined;
  readonly presence?: 'online' | 'offline' | 'never' | undefined;
  readonly includeRevoked?: boolean | undefined;
}

interface DevicesDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly bus: LiveBus;
  /** What the hub noticed of devices. */
  readonly marks: Pick<DeviceMarks, 'of' | 'all'>;
  /** Labels or capabilities changed: the device may belong to other deployments now. */
  readonly onLabels: (device: DeviceId) => Promise<void>;
  /** Credentials were withdrawn: cut its connection, clear what is retained for it. */
  readonly onRevoked: (device: DeviceId) => Promise<void>;
  /** It belongs to the fleet again: let it connect, tell it what it should run. */
  readonly onRestored: (device: DeviceId) => Promise<void>;
}

/** The devices of the fleet: who they are, what they are called, whether they still belong to it. */
export class Devices {
  readonly #deps: DevicesDeps;

  constructor(deps: DevicesDeps) {
    this.#deps = deps;
  }

  /** Ordered by id. Throws `SELECTOR_INVALID`. */
  async list(filter: DeviceFilter = {}): Promise<DeviceSummary[]> {
    const selector = parseSelector(filter.selector ?? '');
    let query = this.#rows(this.#deps.db).orderBy('devices.id');
    if (filter.includeRevoked !== true) query = query.where('revoked_at', 'is', null);
    if (filter.presence === 'never') query = query.where('presence', 'is', null);
    else if (filter.presence !== undefined) query = query.where('presence', '=', filter.presence);
    const rows = await query.execute();
    const marks = await this.#deps.marks.all();
    return rows
      .filter((row) => selector.matches(readLabels(row.labels)))
      .map((row) => summaryOf(row, marks.get(deviceIdSchema.parse(row.id)) ?? []));
  }

  /** Throws `DEVICE_UNKNOWN`. */
  async get(id: string): Promise<DeviceDetail> {
    const { db } = this.#deps;
    const row = await this.#row(db, id);
    const desired = await db.selectFrom('desired_states').select(['counter', 'expires_at']).where('device', '=', id).executeTakeFirst();
    const models = await db.selectFrom('desired_models').selectAll().where('device', '=', id).orderBy('model').execute();
    return detailOf(row, await this.#deps.marks.of(id), {
      counter: desired?.counter ?? 0,
      expires: iso(desired?.expires_at ?? null),
      models: models.map((entry) => ({
        model: modelNameSchema.parse(entry.model),
        version: versionNumberSchema.parse(entry.version),
        attempt: entry.attempt,
        source: entry.source,
        decidedAt: new Date(entry.decided_at).toISOString(),
      })),
    });
  }

  /** Ids of the devices that belong to the fleet and match, ordered. */
  async matching(selector: string): Promise<DeviceId[]> {
    const parsed = parseSelector(selector);
    const rows = await this.#deps.db.selectFrom('devices').select(['id', 'labels']).where('revoked_at', 'is', null).orderBy('id').execute();
    return rows.filter((row) => parsed.matches(readLabels(row.labels))).map((row) => deviceIdSchema.parse(row.id));
  }

  async labels(id: string): Promise<Labels> {
    return readLabels((await this.#row(this.#deps.db, id)).labels);
  }

  /**
   * Lays labels over those the device gives itself: a value sets one, null takes one away whatever the device says, what
   * `patch` does not name stays. Throws `DEVICE_UNKNOWN`, `DEVICE_REVOKED`, `LABEL_TIME_ZONE` or `INPUT_SCHEMA`.
   */
  async patchLabels(id: string, patch: HubLabels): Promise<DeviceDetail> {
    const device = await this.#deps.db.transaction().execute(async (trx) => {
      const row = await this.#row(trx, id);
      if (row.revoked_at !== null) throw new SkerryError('DEVICE_REVOKED', `the device ${id} was removed`);
      requireTimeZone(patch);
      const hub = { ...readHubLabels(row.hub_labels), ...patch };
      const labels = narrow(labelsSchema, effectiveLabels(readLabels(row.device_labels), hub), 'labels');
      await trx
        .updateTable('devices')
        .set({ hub_labels: JSON.stringify(hub), labels: JSON.stringify(labels) })
        .where('id', '=', id)
        .execute();
      return deviceIdSchema.parse(row.id);
    });
    await this.#changed(device);
    return this.get(id);
  }

  /** Takes over what a device says of itself in a report. Throws `INPUT_SCHEMA` when its labels and the hub's are too many together. */
  async describe(device: DeviceId, said: { labels: Labels; capabilities: unknown; agentVersion: string }): Promise<void> {
    const before = await this.#row(this.#deps.db, device);
    if (before.revoked_at !== null) return;
    const own = JSON.stringify(said.labels);
    const capabilities = JSON.stringify(said.capabilities);
    if (before.device_labels === own && before.capabilities === capabilities && before.agent_version === said.agentVersion) return;
    const labels = JSON.stringify(narrow(labelsSchema, effectiveLabels(said.labels, readHubLabels(before.hub_labels)), 'labels'));
    await this.#deps.db
      .updateTable('devices')
      .set({ device_labels: own, labels, capabilities, agent_version: said.agentVersion })
      .where('id', '=', device)
      .execute();
    if (labels !== before.labels || capabilities !== before.capabilities) await this.#changed(device);
  }

  /** Withdraws a device's credentials until it is restored or replaced; its history stays. Throws `DEVICE_UNKNOWN`. */
  async revoke(id: string): Promise<void> {
    const { db, clock, bus } = this.#deps;
    const row = await this.#row(db, id);
    const device = deviceIdSchema.parse(row.id);
    await db.transaction().execute(async (trx) => {
      await trx
        .updateTable('devices')
        .set({ revoked_at: row.revoked_at ?? clock.now() })
        .where('id', '=', id)
        .execute();
      await trx.deleteFrom('desired_models').where('device', '=', id).execute();
      await trx.deleteFrom('device_marks').where('device', '=', id).execute();
    });
    await this.#deps.onRevoked(device);
    bus.publish({ kind: 'device.removed', at: new Date(clock.now()).toISOString(), device });
  }

  /** Takes a removal back: the same key and password are good again. Nothing happens to a device that belongs to the fleet. Throws `DEVICE_UNKNOWN`. */
  async restore(id: string): Promise<DeviceDetail> {
    const { db, clock, bus } = this.#deps;
    const row = await this.#row(db, id);
    const device = deviceIdSchema.parse(row.id);
    if (row.revoked_at !== null) {
      await db.transaction().execute(async (trx) => {
        await trx.updateTable('devices').set({ revoked_at: null }).where('id', '=', id).execute();
        // Its retained statement was cleared: it is signed anew, under a counter above the last.
        await trx.updateTable('desired_states').set({ content_sha256: '' }).where('device', '=', id).execute();
      });
      await this.#deps.onRestored(device);
      bus.publish({ kind: 'device.changed', at: new Date(clock.now()).toISOString(), device });
    }
    return this.get(id);
  }

  async #changed(device: DeviceId): Promise<void> {
    await this.#deps.onLabels(device);
    this.#deps.bus.publish({ kind: 'device.changed', at: new Date(this.#deps.clock.now()).toISOString(), device });
  }

  #rows(db: Queryable) {
    return db.selectFrom('devices').innerJoin('device_states', 'device_states.device', 'devices.id').selectAll();
  }

  async #row(db: Queryable, id: string): Promise<DeviceRow> {
    const row = await this.#rows(db).where('devices.id', '=', id).executeTakeFirst();
    if (row === undefined) throw new SkerryError('DEVICE_UNKNOWN', `there is no device ${id}`);
    return row;
  }
}
