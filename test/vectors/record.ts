import { readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { Cmd } from '#shared/protocol/messages.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { digestSchema } from '#shared/bundle/names.js';
import { writeAgentPrograms } from '../kit/agent-program.js';
import type { TestBroker } from '../kit/broker.js';
import { enrolRequest } from '../kit/fleet-hub.js';
import { affineModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Device } from '../e2e/device.js';
import { Rollout } from '../e2e/rollouts.js';
import type { World } from '../e2e/world.js';
import { fileName, writeDocument } from './documents.js';

const FLEET = 'main';
const NAME = 'cam-1';
const X = [1, 2, 3, 4];
const TRIAL = { model: 'm', version: 2, cohort: '', strategy: { kind: 'ab', share: 0.5 }, waves: ['100%'], bake: '1h' };

const CANARY = {
  schema: 'skerry.rollout/1',
  name: 'm-2-canary',
  model: 'm',
  version: 2,
  cohort: { selector: 'site=lab' },
  strategy: 'canary',
  waves: ['5%', { count: 20, bake: '1h' }, { percent: '50%', name: 'half', approval: 'operator' }, '100%'],
  reserve: '5%',
  bake: '30m',
  evidence: { predictions: 1000, devices: 3 },
  deadline: '1d',
  gates: [{ gate: 'install' }, { gate: 'errors', negligible: 0.01 }, { gate: 'latency', quantile: 0.95 }, { gate: 'crashes' }],
  maxInFlight: 50,
  silent: { after: '1h', as: 'left-out' },
  schedule: { windows: [{ cron: '0 2 * * *', lasts: '3h', timeZone: 'Europe/Berlin' }] },
  onFailure: 'rollback-all',
};

/** Documents of real programs: a hub, a device, a publisher, and a broker that writes down all that passes. */
export class Recording {
  readonly documents = new Map<string, Uint8Array>();
  readonly #world: World;
  readonly #broker: TestBroker;
  #device: Device | undefined;

  /** `world` is started with `--mqtt-url` of the broker, and lets its publisher publish releases of the agent. */
  constructor(world: World, broker: TestBroker) {
    this.#world = world;
    this.#broker = broker;
  }

  async run(): Promise<ReadonlyMap<string, Uint8Array>> {
    await this.#publish();
    await this.#enrol();
    await this.#serve();
    await this.#trial();
    await this.#command();
    await this.#lose();
    await this.#files();
    return this.documents;
  }

  get #cam(): Device {
    if (this.#device === undefined) throw new Error('there is no device yet');
    return this.#device;
  }

  async #publish(): Promise<void> {
    const { fleet, folder } = this.#world;
    await this.#world.publish('m', 1, affineModel({ scale: 2 }), ['--samples', '1']);
    await this.#world.publish('m', 2, affineModel({ scale: 3 }), ['--samples', '1', '--output-tolerance', 'y=0.01']);
    await fleet.publishAgent(await writeAgentPrograms(folder), ['--release', '0.9.0']);
    await this.#api('api-version', 'model', '/models/m/versions/2');
    await this.#api('api-version', 'agent', '/models/skerry-agent/versions/2');
    for (const [shows, route] of [
      ['model', '/models/m/versions/2'],
      ['agent', '/models/skerry-agent/versions/2'],
    ] as const) {
      const { document } = (await fleet.api(route)) as { document: unknown };
      this.#put('manifest', shows, document);
    }
  }

  async #enrol(): Promise<void> {
    const { fleet } = this.#world;
    this.#device = await this.#world.enrol(NAME, { labels: { site: 'lab' } });
    const { token } = (await fleet.command(['token', 'create', 'enrolment'])) as { token: string };
    const request = enrolRequest({ token, device: 'cam-2', labels: { site: 'field' } });
    const response = await fetch(`${fleet.hub.url}/api/v1/enroll`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    this.#put('enroll-request', 'device', request);
    this.#put('enroll-answer', 'device', await response.json());
    await fleet.command(['device', 'remove', 'cam-2', '--yes']);
  }

  async #serve(): Promise<void> {
    const plan = (await this.#world.fleet.command(['deploy', 'm@1', '--all'])) as { id: number };
    this.#put('api-created-deployment', 'all', plan);
    await this.#cam.start();
    await this.#cam.installed('m', 1, 'good');
    for (let i = 0; i < 5; i++) await this.#cam.predict('m', X);
    await this.#message('presence', 'online', ({ state }) => state === 'online');
    await this.#message('fetch', 'target', ({ kind }) => kind === 'target');
    await this.#message('fetch', 'artifact', ({ kind }) => kind === 'artifact');
    await this.#message('event', 'version.state', ({ kind }) => kind === 'version.state');
    await this.#message('ack', 'stored');
    await this.#message('reported', 'serving', ({ models }) => Array.isArray(models) && models.length > 0);
    await this.#statement('model');
    await this.#api('api-deployment', 'all', `/deployments/${plan.id}`);
  }

  async #trial(): Promise<void> {
    const file = path.join(this.#world.folder, 'trial.json');
    await writeFile(file, JSON.stringify(TRIAL));
    this.#put('rollout-document', 'trial', TRIAL);
    this.#put('rollout-document', 'canary', CANARY);
    this.#put('api-plan', 'trial', await this.#world.fleet.command(['rollout', 'plan', '-f', file]));
    const rollout = await Rollout.create(this.#world, TRIAL);
    await rollout.until('the device to have both', ({ waveViews }) => waveViews[0]?.counts.installed === 1);
    for (let i = 0; i < 40; i++) await this.#cam.predict('m', X);
    await this.#message('reported', 'candidate', (reported) => JSON.stringify(reported).includes('"candidate"'));
    await this.#statement('candidate');
    this.#put('api-rollout', 'trial', await rollout.detail());
    const db = new Database(path.join(this.#world.fleet.hubData, 'hub.db'), { readonly: true });
    const row = db.prepare('select record, plan from rollouts').get() as { record: string; plan: string };
    db.close();
    this.#put('rollout-record', 'trial', JSON.parse(row.record));
    this.#put('rollout-plan', 'trial', JSON.parse(row.plan));
    await rollout.act('abort');
  }

  /** Each command, as the hub sends it, and what the device answers. */
  async #command(): Promise<void> {
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    const common = { device: deviceIdSchema.parse(NAME), expires };
    const error = { code: 'BLOB_UNKNOWN', message: 'no such blob' };
    const topic = deviceTopic(FLEET, NAME, 'cmd');
    const send = async (cmd: Cmd): Promise<void> => {
      const bytes = encodeMessage('cmd', cmd);
      this.documents.set(fileName('cmd', cmd.kind), bytes);
      await this.#broker.publish(topic, bytes);
    };
    await this.#answer('reported', 'asked', () => send({ ...common, id: 'c-1', kind: 'report' }));
    await this.#cam.predict('m', X);
    await this.#answer('telemetry', 'flushed', () => send({ ...common, id: 'c-2', kind: 'flush' }));
    await send({ ...common, id: 'c-3', kind: 'fetch-refused', digest: digestSchema.parse('ab'.repeat(32)), error });
    await send({ ...common, id: 'c-4', kind: 'stand-down', bootId: 'another-start', error });
  }

  /** The device shows a hub put back to a backup what that lost. */
  async #lose(): Promise<void> {
    const topic = deviceTopic(FLEET, NAME, 'desired');
    const [oldest] = this.#broker.on(topic).filter((payload) => payload.length > 0);
    await this.#answer('held', 'desired', () => this.#broker.publish(topic, oldest ?? '', { retain: true }));
  }

  async #files(): Promise<void> {
    const { fleet } = this.#world;
    const status = await (await fetch(`${this.#cam.url}/skerry/v1/status`)).json();
    this.#put('agent-status', 'online', status);
    await this.#api('api-device', 'online', `/devices/${NAME}`);
    await this.#api('api-devices', 'all', '/devices');
    const unknown = await fetch(`${fleet.hub.url}/api/v1/models/none`, { headers: { authorization: `Bearer ${fleet.hub.token}` } });
    this.#put('api-error', 'unknown', await unknown.json());
    this.#put('identity', 'device', JSON.parse(await readFile(path.join(this.#cam.data, 'identity.json'), 'utf8')));
    this.#put('hub-state', 'running', JSON.parse(await readFile(path.join(fleet.hubData, 'hub.json'), 'utf8')));
    this.#put('trust-index', 'published', JSON.parse(this.#trust('index').toString()));
    const director = this.#broker.seen.find(({ topic }) => topic.endsWith('.director.json'));
    this.#put('director', 'keys', JSON.parse(director?.payload.toString() ?? ''));
    await this.#cam.stop();
    await this.#message('presence', 'offline', ({ state }) => state === 'offline');
  }

  #trust(name: string): Buffer {
    const payload = this.#broker.on(`skerry/v1/${FLEET}/trust/${name}`).at(-1);
    if (payload === undefined) throw new Error(`the hub published no trust/${name}`);
    return payload;
  }

  /** The newest statement to the device, and what is inside. */
  async #statement(shows: string): Promise<void> {
    const bytes = this.#broker.on(deviceTopic(FLEET, NAME, 'desired')).at(-1);
    if (bytes === undefined) throw new Error('the device was told nothing');
    const { payload } = JSON.parse(bytes.toString()) as { payload: string };
    this.documents.set(fileName('envelope', shows), bytes);
    this.documents.set(fileName('desired', shows), Buffer.from(payload, 'base64'));
  }

  async #answer(channel: 'reported' | 'telemetry' | 'held', shows: string, ask: () => Promise<void>): Promise<void> {
    const before = this.#broker.on(deviceTopic(FLEET, NAME, channel)).length;
    await ask();
    const bytes = await until(`the device to say ${channel}`, async () => this.#broker.on(deviceTopic(FLEET, NAME, channel))[before]);
    this.#keep(fileName(channel, shows), bytes);
  }

  /** The newest message of a channel that fits. */
  async #message(
    channel: 'presence' | 'fetch' | 'event' | 'ack' | 'reported',
    shows: string,
    fits: (message: Readonly<Record<string, unknown>>) => boolean = () => true,
  ): Promise<void> {
    const bytes = await until(`a ${channel} that shows ${shows}`, async () =>
      this.#broker
        .on(deviceTopic(FLEET, NAME, channel))
        .findLast((payload) => payload.length > 0 && fits(JSON.parse(payload.toString()) as Readonly<Record<string, unknown>>)),
    );
    this.#keep(fileName(channel, shows), bytes);
  }

  async #api(name: string, shows: string, route: string): Promise<void> {
    this.#put(name, shows, await this.#world.fleet.api(route));
  }

  #put(name: string, shows: string, value: unknown): void {
    const file = fileName(name, shows);
    this.#keep(file, writeDocument(file, value));
  }

  /** Without what says on which machine it was recorded. */
  #keep(file: string, bytes: Uint8Array): void {
    const text = Buffer.from(bytes);
    const plain = file.endsWith('.json')
      ? Buffer.from(text.toString().replaceAll(this.#world.folder, '/srv').replaceAll(os.hostname(), 'host'))
      : text;
    this.documents.set(file, plain);
  }
}
