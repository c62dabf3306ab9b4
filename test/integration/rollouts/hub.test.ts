import { isDeepStrictEqual } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { desiredModels } from '#hub/fleet/desired-content.js';
import { VersionStore } from '#hub/registry/version-store.js';
import { Cohorts } from '#hub/rollouts/cohorts.js';
import { RolloutController } from '#hub/rollouts/controller.js';
import { readRollout } from '#hub/rollouts/document.js';
import { HubEvidence } from '#hub/rollouts/hub/hub-evidence.js';
import { HubFleet } from '#hub/rollouts/hub/hub-fleet.js';
import { HubRegistry } from '#hub/rollouts/hub/hub-registry.js';
import { SqlRolloutStore } from '#hub/rollouts/sql-store.js';
import { emptyMeasure, measureColumns } from '#hub/telemetry/measure.js';
import { type Digest, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { type Clock, minutes, systemClock } from '#shared/kernel/clock.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { DesiredState } from '#shared/trust/desired.js';
import { verifyDesired } from '#shared/trust/desired-verify.js';
import { FLEET, FleetHub, type TestDevice } from '../../kit/fleet-hub.js';
import { reportedOf } from '../../kit/messages.js';
import { SeededRandom } from '../../kit/random.js';
import { until } from '../../kit/until.js';

const MODEL = modelNameSchema.parse('vad');
const BUCKET = minutes(5);
const OPERATOR = { name: 'ada', role: 'operator', source: '192.0.2.7' } as const;
const DEVICES = 12;

/** A hub with real database, broker and signed statements; its devices are MQTT clients that do what they are told. */
class World {
  readonly hub: FleetHub;
  readonly store: SqlRolloutStore;
  readonly controller: RolloutController;
  readonly devices: TestDevice[] = [];
  readonly serving = new Map<string, { version: number; manifest: Digest }>();
  readonly #random = new SeededRandom(11);
  #skew = 0;

  constructor(hub: FleetHub) {
    this.hub = hub;
    const clock: Clock = { ...systemClock, now: () => Date.now() + this.#skew };
    const fleet = new HubFleet(hub.db, hub.fleet.issuer, clock);
    this.store = new SqlRolloutStore(hub.db, (trx, wishes) => fleet.write(trx, wishes));
    this.controller = new RolloutController({
      store: this.store,
      fleet,
      evidence: new HubEvidence({ db: hub.db, clock, bucket: BUCKET, refresh: 0 }),
      registry: new HubRegistry(new VersionStore(hub.db)),
      cohorts: new Cohorts(hub.db, this.store, clock),
      alerts: { notify: () => undefined },
      clock,
      logger: silentLogger,
    });
  }

  get now(): number {
    return Date.now() + this.#skew;
  }

  async enrol(): Promise<void> {
    for (let i = 0; i < DEVICES; i++) {
      const device = await this.hub.device(`cam-${i}`);
      await device.listen(deviceTopic(FLEET, device.id, 'desired'));
      this.devices.push(device);
    }
  }

  /** Devices take up what they were told last, and say so. */
  async react(): Promise<void> {
    for (const device of this.devices) {
      const desired = await until(`${device.id} to be told`, () => this.#newest(device));
      const [model] = desired.models;
      if (model === undefined) continue;
      this.serving.set(device.id, { version: model.version, manifest: model.manifest });
      const versions = [{ version: model.version, manifest: model.manifest, install: 'good' as const }];
      const report = reportedOf(device.id, {
        desired: { counter: desired.counter },
        models: [{ model: MODEL, serving: model.version, versions }],
      });
      await device.say(deviceTopic(FLEET, device.id, 'reported'), encodeMessage('reported', report), true);
      await until(`the report of ${device.id}`, async () => {
        const row = await this.hub.db.selectFrom('device_states').select('reported').where('device', '=', device.id).executeTakeFirst();
        return row?.reported?.includes(`"counter":${desired.counter}`);
      });
    }
  }

  /** One bucket passes in which every device makes predictions. */
  async predict(errorRate: (version: number) => number): Promise<void> {
    this.#skew += BUCKET;
    const bucket = Math.floor(this.now / BUCKET) * BUCKET;
    for (const [device, { version }] of this.serving) {
      const measure = emptyMeasure();
      measure.predictions = 500;
      measure.errors.set('INFERENCE_FAILED', this.#random.poisson(500 * errorRate(version)));
      measure.total.add(10, 500);
      measure.signals.exposure = BUCKET;
      await this.hub.db
        .insertInto('metrics_device')
        .values({ device, model: MODEL, version, bucket, ...measureColumns(measure) })
        .execute();
    }
  }

  /** What the hub stored for each device agrees with the signed statement it got. */
  async toldTruly(): Promise<void> {
    for (const device of this.devices) {
      const rows = await this.hub.db.selectFrom('desired_models').selectAll().where('device', '=', device.id).execute();
      await until(`${device.id} to hear the newest`, () => isDeepStrictEqual(this.#newest(device)?.models, desiredModels(rows)));
    }
  }

  #newest(device: TestDevice): DesiredState | undefined {
    const bytes = device.on(deviceTopic(FLEET, device.id, 'desired')).at(-1);
    if (bytes === undefined) return undefined;
    const context = { fleet: FLEET, device: device.id, directorKeys: [this.hub.directorKey.publicKey], last: undefined, now: Date.now() };
    return verifyDesired(bytes, context).desired;
  }
}

let world: World | undefined;
afterEach(async () => {
  for (const device of world?.devices ?? []) device.client.end(true);
  await world?.hub.close();
  world = undefined;
});

async function start(): Promise<World> {
  const made = new World(await FleetHub.start());
  world = made;
  await made.enrol();
  for (const version of [1, 2]) await made.hub.addVersion('vad', version, { bytes: new Uint8Array(1_000).fill(version), chunk: 400 });
  await made.hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', retry: false, createdBy: 'ada' });
  await made.react();
  for (let i = 0; i < 6; i++) await made.predict(() => 0.02);
  return made;
}

const DOCUMENT = readRollout({
  model: 'vad',
  version: 2,
  cohort: '',
  waves: ['30%', '100%'],
  reserve: '20%',
  bake: '10m',
  gates: [{ gate: 'install' }, { gate: 'errors' }, { gate: 'crashes', negligible: 2 }],
});

async function run(made: World, id: string, errorRate: (version: number) => number): Promise<string> {
  for (let i = 0; i < 80; i++) {
    await made.controller.tick();
    const { state } = await made.store.read(id);
    if (state === 'completed' || state === 'rolled-back' || state === 'paused') return state;
    await made.toldTruly();
    await made.react();
    await made.predict(errorRate);
  }
  return (await made.store.read(id)).state;
}

describe('a rollout on the hub itself', () => {
  it('takes a good version to every device, by signed statements and from stored telemetry', async () => {
    const made = await start();
    const { id, plan } = await made.controller.create(DOCUMENT, OPERATOR);
    expect(plan.waves.map((wave) => wave.devices.length)).toEqual([4, 5, 3]);
    expect(await run(made, id, () => 0.02)).toBe('completed');
    await made.toldTruly();
    for (const { version } of made.serving.values()) expect(version).toBe(2);
    const rows = await made.hub.db.selectFrom('desired_models').select(['version', 'source']).execute();
    expect(new Set(rows.map((row) => `${row.version} ${row.source}`))).toEqual(new Set([`2 rollout:${id}`]));
  });

  it('takes a bad one back from the devices that had it, and the others never hear of it', async () => {
    const made = await start();
    const { id, plan } = await made.controller.create(DOCUMENT, OPERATOR);
    expect(await run(made, id, (version) => (version === 2 ? 0.08 : 0.02))).toBe('rolled-back');
    await made.toldTruly();
    for (const { version } of made.serving.values()) expect(version).toBe(1);
    const decisions = await made.store.decisions(id);
    // It may be caught while the wave is still being installed.
    const events = decisions.map((decision) => decision.event).filter((event) => event !== 'all-decided');
    expect(events).toEqual(['begin-wave', 'gate-failed-rollback', 'reverted']);
    expect(decisions.at(-2)?.reason).toMatch(/^errors: /);
    const back = (await made.store.devices(id)).filter((row) => row.status === 'reverted').map((row) => row.device);
    expect(back.toSorted()).toEqual([...(plan.waves[0]?.devices ?? [])].toSorted());
    expect(versionNumberSchema.parse(made.serving.get('cam-0')?.version)).toBe(1);
  });
});
