import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { MqttClient } from 'mqtt';
import { LiveBus, type LiveEvent } from '#hub/kernel/live-bus.js';
import { EmbeddedBroker } from '#hub/broker/embedded.js';
import { DeviceInbox } from '#hub/broker/device-inbox.js';
import { BrokerLink } from '#hub/broker/link.js';
import { HubClock } from '#hub/clock/hub-clock.js';
import type { DeviceAlert } from '#hub/fleet/device-marks.js';
import { DevicePasswords } from '#hub/fleet/device-passwords.js';
import { FetchRights } from '#hub/fleet/fetch-rights.js';
import { Fleet, type FleetOptions } from '#hub/fleet/fleet.js';
import { HubPlaces } from '#hub/fleet/hub-place.js';
import type { RolloutClaims } from '#hub/fleet/rollout-claims.js';
import type { TrustFiles } from '#hub/fleet/trust-publisher.js';
import { readCandidate } from '#hub/registry/version-checks.js';
import { rolloutsUnderWay } from '#hub/rollouts/claims.js';
import { VersionStore } from '#hub/registry/version-store.js';
import { ArtifactFolder } from '#hub/store/artifact-folder.js';
import type { Db } from '#hub/store/database.js';
import { openDatabase } from '#hub/store/open.js';
import type { IngestSettings } from '#hub/telemetry/ingest.js';
import { admitStart } from '#hub/telemetry/seen.js';
import { Telemetry } from '#hub/telemetry/telemetry.js';
import { agentManifestSchema, agentVariantName } from '#shared/bundle/agent-manifest.js';
import { cutArtifact } from '#shared/bundle/cut-artifact.js';
import { decodeManifest, encodeManifest } from '#shared/bundle/manifest-codec.js';
import { digestOf } from '#shared/bundle/digest.js';
import { AGENT_MODEL, type Digest, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { days } from '#shared/kernel/time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { fleetIdSchema, type Labels } from '#shared/protocol/device.js';
import { type EnrollRequest, type EnrollResponse, enrolmentStatement } from '#shared/protocol/enrolment.js';
import { generateSigningKey, type SigningKey } from '#shared/trust/keys.js';
import { connectDevice } from './brokers.js';
import { CAPABILITIES } from './messages.js';

export const FLEET = fleetIdSchema.parse('harbour');

export interface FleetHubOptions {
  readonly folder?: string;
  readonly port?: number;
  readonly directorKey?: SigningKey;
  readonly clock?: Clock;
  readonly trust?: () => TrustFiles | undefined;
  /** Ends a rollout for a deployment. */
  readonly supersede?: RolloutClaims['supersede'];
  /** Which devices can run a version: all, unless said otherwise. */
  readonly capability?: RolloutClaims['capability'];
  readonly fleet?: Partial<Pick<FleetOptions, 'issuePolicy' | 'blobs'>>;
  readonly ingest?: Partial<IngestSettings>;
}

/** Fleet and telemetry of a hub with everything real: database, embedded broker, link; only registry and HTTP are not there. */
export class FleetHub {
  readonly folder: string;
  readonly db: Db;
  readonly broker: EmbeddedBroker;
  readonly link: BrokerLink;
  readonly fleet: Fleet;
  readonly telemetry: Telemetry;
  readonly artifacts: ArtifactFolder;
  readonly directorKey: SigningKey;
  readonly places: HubPlaces;
  readonly events: LiveEvent[] = [];
  readonly alerts: DeviceAlert[] = [];
  readonly hubClock: HubClock;
  readonly recovered: string[] = [];

  private constructor(folder: string, db: Db, artifacts: ArtifactFolder, options: FleetHubOptions) {
    const clock = options.clock ?? systemClock;
    this.folder = folder;
    this.db = db;
    this.artifacts = artifacts;
    this.places = new HubPlaces(db, {});
    this.directorKey = options.directorKey ?? generateSigningKey();
    this.hubClock = new HubClock({ clock, logger: silentLogger, onChange: () => undefined });
    const bus = new LiveBus(silentLogger);
    bus.subscribe((event) => this.events.push(event));
    this.broker = new EmbeddedBroker({
      fleet: FLEET,
      listen: { host: '127.0.0.1', port: options.port ?? 0 },
      credentials: new DevicePasswords(db, clock),
      fetchPolicy: new FetchRights(db),
      logger: silentLogger,
    });
    this.link = new BrokerLink({
      connection: () => this.broker.hubConnection,
      clientId: 'hub-under-test',
      clock: systemClock,
      logger: silentLogger,
      random: Math.random,
      backoff: { base: 20, max: 100 },
    });
    const inbox = new DeviceInbox(this.link, FLEET, silentLogger);
    this.telemetry = new Telemetry({
      db,
      link: this.link,
      inbox,
      fleet: FLEET,
      clock,
      bus,
      logger: silentLogger,
      retention: { events: days(1), models: days(1), devices: days(1) },
      mayDrop: () => this.hubClock.isCredible,
      ...(options.ingest === undefined ? {} : { settings: options.ingest }),
    });
    this.fleet = new Fleet({
      db,
      clock,
      logger: silentLogger,
      bus,
      fleet: FLEET,
      link: this.link,
      inbox,
      admitStart,
      artifacts,
      directorKey: this.directorKey,
      trust: {
        publication: options.trust ?? (() => undefined),
        root: () => new TextEncoder().encode('{"root":1}'),
        learn: () => Promise.resolve(undefined),
        timestamp: () => Number.MAX_SAFE_INTEGER,
      },
      onRecovered: ({ what }) => this.recovered.push(what),
      place: () => this.places.current(),
      endpoints: (host) => ({ url: `mqtt://${host}:${this.broker.port}` }),
      brokerForgets: true,
      disconnect: (device) => this.broker.disconnect(device),
      onCredentials: () => Promise.resolve(),
      claims: {
        underWay: rolloutsUnderWay,
        supersede: options.supersede ?? ((_rollouts, _by, _reason, write) => db.transaction().execute(write)),
        capability: options.capability ?? (() => Promise.resolve(() => undefined)),
      },
      hubClock: this.hubClock,
      alert: (alert) => this.alerts.push(alert),
      ...options.fleet,
    });
  }

  static async start(options: FleetHubOptions = {}): Promise<FleetHub> {
    const folder = options.folder ?? mkdtempSync(path.join(os.tmpdir(), 'skerry-fleet-'));
    const db = await openDatabase(path.join(folder, 'hub.db'), silentLogger);
    const hub = new FleetHub(folder, db, await ArtifactFolder.open(path.join(folder, 'artifacts')), options);
    await hub.fleet.start();
    await hub.telemetry.start();
    await hub.broker.start();
    await hub.link.start();
    return hub;
  }

  /** Ends everything; the folder stays for a next hub. */
  async stop(): Promise<void> {
    await this.link.close();
    await this.broker.close();
    await this.telemetry.close();
    await this.fleet.close();
    await this.db.destroy();
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async token(labels: Labels = {}, maxUses = 1): Promise<string> {
    const created = await this.fleet.tokens.create({ name: 'test', labels, maxUses, expiresAt: Date.now() + days(1), createdBy: 'test' });
    return created.token;
  }

  /** Enrols a device and connects it. */
  async device(id: string, labels: Labels = {}): Promise<TestDevice> {
    const request = enrolRequest({ token: await this.token(), device: id, labels });
    const answer = await this.fleet.enrolment.enroll(request, '127.0.0.1');
    return this.connect(answer);
  }

  async connect(answer: EnrollResponse): Promise<TestDevice> {
    return new TestDevice(answer, await connectDevice(this.broker.port, answer.device, answer.mqtt.password));
  }

  /** Puts a release of the agent for the kit's devices into the registry's tables as if it had been published. */
  async addRelease(version: number): Promise<Digest> {
    const bytes = new Uint8Array(500).fill(version);
    const artifact = await cutArtifact([bytes], 'an agent');
    const { os: platform, arch } = CAPABILITIES;
    const manifest = agentManifestSchema.parse({
      schema: 'skerry.manifest/1',
      kind: 'agent',
      model: AGENT_MODEL,
      version,
      release: `0.${version}.0`,
      takesOverFrom: 1,
      variants: [{ name: agentVariantName({ platform, arch }), platform, arch, artifact: artifact.digest }],
      artifacts: [artifact],
    });
    return this.#add(encodeManifest(manifest), artifact.digest, bytes);
  }

  /** Puts a version into the registry's tables as if it had been published. */
  async addVersion(
    model: string,
    version: number,
    artifact: { readonly bytes: Uint8Array; readonly chunk: number },
    inputShape: readonly number[] = [1],
  ): Promise<Digest> {
    const digest = digestOf(artifact.bytes);
    const chunks: [Digest, number][] = [];
    for (let offset = 0; offset < artifact.bytes.length; offset += artifact.chunk) {
      const piece = artifact.bytes.subarray(offset, offset + artifact.chunk);
      chunks.push([digestOf(piece), piece.length]);
    }
    const manifest = encodeManifest({
      schema: 'skerry.manifest/1',
      model: modelNameSchema.parse(model),
      version: versionNumberSchema.parse(version),
      inputs: [{ name: 'x', datatype: 'FP32', shape: [...inputShape] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
      variants: [{ name: 'fp32', format: 'onnx', opset: 17, artifact: digest, requires: { providers: ['cpu'] } }],
      goldenSamples: [{ name: 'g', artifact: digest, tolerance: { absolute: 0, relative: 0 } }],
      artifacts: [{ digest, length: artifact.bytes.length, chunks }],
    });
    return this.#add(manifest, digest, artifact.bytes);
  }

  async #add(manifest: Uint8Array, digest: Digest, bytes: Uint8Array): Promise<Digest> {
    await this.artifacts.put(
      digest,
      (async function* () {
        yield bytes;
      })(),
    );
    const at = Date.now();
    const candidate = readCandidate(decodeManifest(manifest).model, manifest);
    await new VersionStore(this.db).insert(candidate, { role: 'targets', publisher: 'test', publishedAt: at, acceptedAt: at });
    return digestOf(manifest);
  }
}

/** A device as a plain MQTT client with real credentials. */
export class TestDevice {
  readonly answer: EnrollResponse;
  readonly client: MqttClient;
  readonly got: { readonly topic: string; readonly payload: Buffer }[] = [];

  constructor(answer: EnrollResponse, client: MqttClient) {
    this.answer = answer;
    this.client = client;
    client.on('message', (topic, payload) => this.got.push({ topic, payload }));
    client.on('error', () => undefined);
  }

  get id() {
    return this.answer.device;
  }

  async listen(...filters: string[]): Promise<void> {
    await this.client.subscribeAsync(filters, { qos: 1 });
  }

  /** How the broker answers one subscription (MQTT 3.1.1, 3.9.3: 0x80 is a refusal). */
  async subscribe(filter: string): Promise<'granted' | 'refused'> {
    const granted = await this.client.subscribeAsync(filter, { qos: 1 }).catch(() => []);
    return granted.length > 0 && granted.every(({ qos }) => qos < 128) ? 'granted' : 'refused';
  }

  async say(topic: string, payload: Uint8Array, retain = false): Promise<void> {
    await this.client.publishAsync(topic, Buffer.from(payload), { qos: 1, retain });
  }

  on(topic: string): Buffer[] {
    return this.got.filter((message) => message.topic === topic).map((message) => message.payload);
  }
}

/** A well-formed enrolment with a key of its own, or the one given. */
export function enrolRequest(
  options: { readonly token: string; readonly device?: string; readonly labels?: Labels },
  key: SigningKey = generateSigningKey(),
): EnrollRequest {
  const claim = {
    token: options.token,
    ...(options.device === undefined ? {} : { device: options.device as NonNullable<EnrollRequest['device']> }),
    publicKey: key.publicKey,
    labels: options.labels ?? {},
    capabilities: CAPABILITIES,
    agentVersion: '0.1.0',
  };
  return { ...claim, proof: Buffer.from(key.sign(enrolmentStatement(claim))).toString('hex') };
}
