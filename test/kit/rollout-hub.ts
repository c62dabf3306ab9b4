import { isDeepStrictEqual } from 'node:util';
import { desiredModels } from '#hub/fleet/decide/desired-content.js';
import type { RolloutClaims } from '#hub/fleet/rollout-claims.js';
import { VersionStore } from '#hub/registry/version-store.js';
import { whyIncapable } from '#hub/rollouts/decide/capability.js';
import { Cohorts } from '#hub/rollouts/cohorts.js';
import { RolloutController } from '#hub/rollouts/controller.js';
import { TelemetryEvidence } from '#hub/rollouts/adapters/telemetry-evidence.js';
import { FleetAdapter } from '#hub/rollouts/adapters/fleet-adapter.js';
import { TelemetryTrialOutcome } from '#hub/rollouts/adapters/telemetry-trial-outcome.js';
import { RegistryAdapter } from '#hub/rollouts/adapters/registry-adapter.js';
import { SqlRolloutStore } from '#hub/rollouts/sql-store.js';
import { addDeviceSums } from '#hub/telemetry/ingest-store.js';
import { ROWS } from '#shared/signals/rows.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS } from '#shared/signals/table.js';
import { PACKAGED_RELEASE } from '#shared/bundle/kinds.js';
import { AGENT_MODEL, type Digest, type ModelName, modelNameSchema } from '#shared/bundle/names.js';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { minutes } from '#shared/kernel/time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { Labels } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { DesiredModel, DesiredState } from '#shared/trust/desired.js';
import { verifyDesired } from '#shared/trust/decide/desired-verify.js';
import { FLEET, FleetHub, type TestDevice } from './fleet-hub.js';
import { CAPABILITIES, reportedOf, sketchOf } from './messages.js';
import { SeededRandom } from './random.js';
import { until } from './until.js';

export const MODEL = modelNameSchema.parse('vad');
/** As many values as a device makes predictions in a bucket, all of 10 ms. */
const LATENCIES = sketchOf(Array.from({ length: 500 }, () => 10));
const BUCKET = minutes(5);

/** A hub with real database, broker and signed statements; its devices are MQTT clients that do what they are told. */
export class RolloutHub {
  readonly hub: FleetHub;
  readonly store: SqlRolloutStore;
  readonly controller: RolloutController;
  readonly devices: TestDevice[] = [];
  readonly serving = new Map<string, { version: number; manifest: Digest }>();
  readonly #model: ModelName;
  readonly #labels = new Map<string, Labels>();
  readonly #runtimes = new Map<string, string>();
  readonly #random = new SeededRandom(11);
  readonly #clock: Clock;
  /** How far the hub's clock is ahead: time passes without anybody waiting. */
  readonly #skew: { by: number };
  readonly #registry: RegistryAdapter;

  /** With the name of the agent its releases are what is rolled out, and the devices begin with the one of their package. */
  static async start(devices: number, labels: (index: number) => Labels = () => ({}), model = MODEL): Promise<RolloutHub> {
    const skew = { by: 0 };
    const clock: Clock = { ...systemClock, now: () => Date.now() + skew.by };
    const supersede: RolloutClaims['supersede'] = (ids, by, reason, write) => made.controller.supersede(ids, by, reason, write);
    const capability: RolloutClaims['capability'] = async (name, version) => {
      const { runnable } = await made.#registry.version(name, version);
      return (device) => whyIncapable(runnable, device);
    };
    const made: RolloutHub = new RolloutHub(await FleetHub.start({ clock, supersede, capability }), clock, skew, model);
    for (let i = 0; i < devices; i++) await made.enrol(`cam-${i}`, labels(i));
    if (model === AGENT_MODEL) {
      for (const version of [2, 3]) await made.hub.addRelease(version);
      for (const device of made.devices) await made.#report(device, 0);
    } else {
      for (const version of [1, 2, 3])
        await made.hub.addVersion(model, version, { bytes: new Uint8Array(1_000).fill(version), chunk: 400 });
    }
    return made;
  }

  private constructor(hub: FleetHub, clock: Clock, skew: { by: number }, model: ModelName) {
    this.hub = hub;
    this.#model = model;
    this.#clock = clock;
    this.#skew = skew;
    this.#registry = new RegistryAdapter(new VersionStore(hub.db));
    const fleet = new FleetAdapter({ db: hub.db, issuer: hub.fleet.issuer, clock, logger: silentLogger });
    this.store = new SqlRolloutStore(hub.db, (trx, wishes) => fleet.write(trx, wishes));
    this.controller = new RolloutController({
      store: this.store,
      fleet,
      evidence: new TelemetryEvidence({ db: hub.db, clock, bucket: BUCKET, refresh: 0 }),
      outcomes: new TelemetryTrialOutcome(hub.db, BUCKET),
      registry: this.#registry,
      cohorts: new Cohorts(hub.db, this.store, clock),
      alerts: { notify: () => undefined },
      clock,
      logger: silentLogger,
    });
  }

  get now(): number {
    return this.#clock.now();
  }

  async close(): Promise<void> {
    for (const device of this.devices) device.client.end(true);
    await this.hub.close();
  }

  /** A device that joins the fleet. */
  async enrol(id: string, labels: Labels = {}): Promise<TestDevice> {
    const device = await this.hub.device(id, labels);
    await device.listen(deviceTopic(FLEET, device.id, 'desired'));
    this.devices.push(device);
    this.#labels.set(device.id, labels);
    return device;
  }

  /** From now on the device has this version of the runtime; resolves once the hub knows. */
  async hasRuntime(device: TestDevice, version: string): Promise<void> {
    this.#runtimes.set(device.id, version);
    const desired = this.#newest(device);
    await this.#report(device, desired?.counter ?? 0, desired?.models[0]);
    await until(`the hub to know the runtime of ${device.id}`, async () => {
      const row = await this.hub.db.selectFrom('devices').select('capabilities').where('id', '=', device.id).executeTakeFirst();
      return row?.capabilities.includes(`"version":"${version}"`);
    });
  }

  /** Devices take up what they were told last, and say so. */
  async react(): Promise<void> {
    for (const device of this.devices) {
      const desired = this.#newest(device);
      const [model] = desired?.models ?? [];
      if (desired === undefined || (model === undefined && this.#model !== AGENT_MODEL)) continue;
      if (model === undefined) this.serving.delete(device.id);
      else this.serving.set(device.id, { version: model.version, manifest: model.manifest });
      await this.#report(device, desired.counter, model);
    }
  }

  /** The device says that it does what it was told. */
  async #report(device: TestDevice, counter: number, model?: DesiredModel): Promise<void> {
    const version = this.#runtimes.get(device.id);
    const release = this.#model === AGENT_MODEL ? { selfUpdate: { able: true, ...(model && { release: model.version }) } } : {};
    const report = reportedOf(device.id, {
      labels: this.#labels.get(device.id) ?? {},
      capabilities: { ...CAPABILITIES, ...(version && { runtime: { ...CAPABILITIES.runtime, version } }), ...release },
      desired: { counter },
      models: [{ model: this.#model, serving: model?.version ?? null, ...reportedVersions(model) }],
    });
    await device.say(deviceTopic(FLEET, device.id, 'reported'), encodeMessage('reported', report), true);
    await until(`the report of ${device.id}`, async () => {
      const row = await this.hub.db.selectFrom('device_states').select('reported').where('device', '=', device.id).executeTakeFirst();
      return row?.reported?.includes(`"counter":${counter}`);
    });
  }

  /** One bucket passes in which every device makes predictions. */
  async predict(errorRate: (version: number) => number, also: (sums: Sums, version: number) => void = () => undefined): Promise<void> {
    this.#skew.by += BUCKET;
    const bucket = Math.floor(this.now / BUCKET) * BUCKET;
    for (const device of this.devices) {
      const [model] = this.#newest(device)?.models ?? [];
      if (this.#model === AGENT_MODEL) {
        const sums = new Sums(SIGNALS);
        const version = this.serving.get(device.id)?.version ?? PACKAGED_RELEASE;
        sums.add(ROWS.watched, BUCKET);
        also(sums, version);
        await this.#store(device.id, version, bucket, sums);
        continue;
      }
      if (model === undefined || !this.serving.has(device.id)) continue;
      for (const version of [model.version, ...(model.candidate === undefined ? [] : [model.candidate.version])]) {
        const errors = { INFERENCE_FAILED: this.#random.poisson(500 * errorRate(version)) };
        const sums = Sums.ofWindow(SIGNALS, { predictions: 500, errors, total: LATENCIES });
        sums.add(ROWS.watched, BUCKET);
        also(sums, version);
        await this.#store(device.id, version, bucket, sums);
      }
    }
  }

  async #store(device: string, version: number, bucket: number, sums: Sums): Promise<void> {
    const key = { device, model: this.#model, version, bucket };
    await this.hub.db.transaction().execute((trx) => addDeviceSums(trx, [{ key, sums }]));
  }

  /** Looks, devices react and predict, until the rollout is where it does not move by itself. */
  async run(
    id: string,
    errorRate: (version: number) => number = () => 0.02,
    also?: (sums: Sums, version: number) => void,
  ): Promise<string> {
    for (let i = 0; i < 80; i++) {
      await this.controller.tick();
      const { state } = await this.store.read(id);
      if (state === 'completed' || state === 'rolled-back' || state === 'aborted' || state === 'paused') return state;
      await this.toldTruly();
      await this.react();
      await this.predict(errorRate, also);
    }
    return (await this.store.read(id)).state;
  }

  /** Version the newest signed statement names, and the one beside it. */
  told(device: TestDevice): { version: number; candidate?: number } | undefined {
    const [model] = this.#newest(device)?.models ?? [];
    return model && { version: model.version, ...(model.candidate && { candidate: model.candidate.version }) };
  }

  /** What the hub stored for each device agrees with the signed statement it got. */
  async toldTruly(): Promise<void> {
    for (const device of this.devices) {
      const rows = await this.hub.db.selectFrom('desired_models').selectAll().where('device', '=', device.id).execute();
      await until(`${device.id} to hear the newest`, () => isDeepStrictEqual(this.#newest(device)?.models ?? [], desiredModels(rows)));
    }
  }

  #newest(device: TestDevice): DesiredState | undefined {
    const bytes = device.on(deviceTopic(FLEET, device.id, 'desired')).at(-1);
    if (bytes === undefined) return undefined;
    const context = { fleet: FLEET, device: device.id, directorKeys: [this.hub.directorKey.publicKey], last: undefined, now: Date.now() };
    return verifyDesired(bytes, context).desired;
  }
}

function reportedVersions(model: DesiredModel | undefined): Pick<Reported['models'][number], 'versions' | 'candidate'> {
  if (model === undefined) return { versions: [] };
  const { candidate } = model;
  const versions = [model, ...(candidate === undefined ? [] : [candidate])].map(({ version, manifest }) => ({
    version,
    manifest,
    install: 'good' as const,
  }));
  return { versions, ...(candidate === undefined ? {} : { candidate: { version: candidate.version, action: candidate.action } }) };
}
