import { addDeviceSums, type StorableRecord, storeBatch } from '#hub/telemetry/ingest-store.js';
import { readRecord } from '#hub/telemetry/record.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { Digest, ModelName } from '#shared/bundle/names.js';
import { versionNumberSchema } from '#shared/bundle/names.js';
import { minutes } from '#shared/kernel/time.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { ROWS } from '#shared/signals/rows.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS } from '#shared/signals/table.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import type { FleetHub } from '../../kit/fleet-hub.js';
import { CAPABILITIES, reportedOf, telemetryOf } from '../../kit/messages.js';
import { SeededRandom } from '../../kit/random.js';
import type { HybridClock } from './hybrid-clock.js';

export const BUCKET = minutes(5);
const ROWS_AT_ONCE = 500;
const BATCH = 512;
const PREDICTIONS = 50;

interface ScaleDevice {
  readonly id: DeviceId;
  readonly errorRate: number;
  readonly latency: number;
  version: number;
  counter: number;
  seq: number;
}

/** Ten thousand devices as rows of a real hub: enrolled, reporting every minute, taking up what they are told. */
export class ScaleFleet {
  readonly devices: readonly ScaleDevice[];
  readonly #hub: FleetHub;
  readonly #clock: HybridClock;
  readonly #model: ModelName;
  readonly #manifests: ReadonlyMap<number, Digest>;
  readonly #random = new SeededRandom(3);

  constructor(hub: FleetHub, clock: HybridClock, model: ModelName, manifests: ReadonlyMap<number, Digest>, count: number) {
    this.#hub = hub;
    this.#clock = clock;
    this.#model = model;
    this.#manifests = manifests;
    this.devices = Array.from({ length: count }, (_, i) => ({
      id: deviceIdSchema.parse(`edge-${i}`),
      errorRate: 0.01 * this.#random.gamma(3),
      latency: 10 * Math.exp(0.7 * this.#random.normal()),
      version: 1,
      counter: 0,
      seq: 0,
    }));
  }

  /** Rows as enrolment and first reports leave them. */
  async enrol(): Promise<void> {
    const at = this.#clock.now();
    for (let start = 0; start < this.devices.length; start += ROWS_AT_ONCE) {
      const page = this.devices.slice(start, start + ROWS_AT_ONCE);
      const common = { device_labels: '{}', hub_labels: '{}', labels: '{"site":"harbour"}', capabilities: JSON.stringify(CAPABILITIES) };
      const keys = { agent_version: '0.1.0', password_sha256: '', password_mosquitto: '', token_id: 'bench' };
      await this.#hub.db
        .insertInto('devices')
        .values(
          page.map(({ id }, i) => ({
            id,
            public_key: String(start + i).padStart(64, '0'),
            ...common,
            ...keys,
            enrolled_at: at,
            revoked_at: null,
          })),
        )
        .execute();
      const silent = { presence: null, presence_session: null, presence_boot: 0, presence_connection: 0, presence_changed_at: null };
      await this.#hub.db
        .insertInto('device_states')
        .values(
          page.map((device) => ({
            device: device.id,
            reported: JSON.stringify(this.#report(device)),
            reported_boot: 1,
            reported_at: at,
            reported_received_at: at,
            revision: 1,
            ...silent,
          })),
        )
        .execute();
    }
  }

  /** Whole buckets before now, as they stand in the database; resolves with how many rows that is. */
  async remember(buckets: number): Promise<number> {
    const now = Math.floor(this.#clock.now() / BUCKET) * BUCKET;
    for (let ago = buckets; ago >= 1; ago--) {
      for (let start = 0; start < this.devices.length; start += ROWS_AT_ONCE) {
        const sums = this.devices.slice(start, start + ROWS_AT_ONCE).map((device) => ({
          key: { device: device.id, model: this.#model, version: device.version, bucket: now - ago * BUCKET },
          sums: this.#sums(device),
        }));
        await this.#hub.db.transaction().execute((trx) => addDeviceSums(trx, sums));
      }
    }
    return buckets * this.devices.length;
  }

  /** One part of the devices reports its last minute, in the batches ingest stores. */
  async report(part: number, parts: number): Promise<number> {
    const records: StorableRecord[] = [];
    for (let i = part; i < this.devices.length; i += parts) {
      const device = this.devices[i];
      if (device === undefined) continue;
      device.seq += 1;
      const failed = this.#random.poisson(PREDICTIONS * device.errorRate);
      const values = Array.from({ length: PREDICTIONS }, () => device.latency * Math.exp(0.5 * this.#random.normal()));
      const message = telemetryOf(device.id, {
        seq: device.seq,
        model: this.#model,
        version: device.version,
        to: this.#clock.now(),
        values,
        errors: failed > 0 ? { INFERENCE_FAILED: failed } : {},
      });
      const record = readRecord('telemetry', device.id, encodeMessage('telemetry', message));
      if (record.kind !== 'telemetry') throw new Error(`a record is ${record.kind}`);
      records.push(record);
    }
    const widths = { model: minutes(1), device: BUCKET };
    for (let start = 0; start < records.length; start += BATCH) {
      const batch = records.slice(start, start + BATCH);
      await this.#hub.db.transaction().execute((trx) => storeBatch(trx, batch, widths, this.#clock.now()));
    }
    return records.length;
  }

  /** Devices told something new do it and say so; resolves with how many. */
  async react(): Promise<number> {
    const told = await this.#hub.db
      .selectFrom('desired_states')
      .innerJoin('desired_models', 'desired_models.device', 'desired_states.device')
      .select(['desired_states.device', 'counter', 'version'])
      .where('model', '=', this.#model)
      .execute();
    const byId = new Map<string, ScaleDevice>(this.devices.map((device) => [device.id, device]));
    let reacted = 0;
    for (const { device: id, counter, version } of told) {
      const device = byId.get(id);
      if (device === undefined || device.counter === counter) continue;
      device.counter = counter;
      device.version = version;
      this.#hub.fleet.states.reported(this.#report(device), false);
      reacted += 1;
    }
    if (reacted > 0) await this.#hub.fleet.states.flush();
    return reacted;
  }

  #report(device: ScaleDevice) {
    const manifest = this.#manifests.get(device.version);
    if (manifest === undefined) throw new Error(`no version ${device.version}`);
    const version = versionNumberSchema.parse(device.version);
    const versions = [{ version, manifest, install: 'good' as const }];
    return reportedOf(device.id, { desired: { counter: device.counter }, models: [{ model: this.#model, serving: version, versions }] });
  }

  /** Five minutes of predictions. */
  #sums(device: ScaleDevice): Sums {
    const failed = this.#random.poisson(5 * PREDICTIONS * device.errorRate);
    const sketch = new QuantileSketch();
    for (let i = 0; i < 5 * PREDICTIONS; i++) sketch.add(device.latency * Math.exp(0.5 * this.#random.normal()));
    const errors = failed > 0 ? { INFERENCE_FAILED: failed } : {};
    const sums = Sums.ofWindow(SIGNALS, { predictions: 5 * PREDICTIONS, errors, total: sketch.encode() });
    sums.add(ROWS.watched, BUCKET);
    sums.add(ROWS.memory, 2e8);
    return sums;
  }
}
