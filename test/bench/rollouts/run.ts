import { RolloutController } from '#hub/rollouts/controller.js';
import type { Observation } from '#hub/rollouts/decide/devices.js';
import { readRollout } from '#hub/rollouts/document.js';
import { EvidenceBook } from '#hub/rollouts/decide/evidence/book.js';
import type { Lane } from '#hub/rollouts/decide/evidence/lane.js';
import type { Evidence, EvidenceQuery, EvidenceSource } from '#hub/rollouts/evidence-source.js';
import type { DeviceWindow, Group } from '#hub/rollouts/decide/evidence/window.js';
import type { PlanDevice } from '#hub/rollouts/decide/plan.js';
import type { FleetPort, RegistryPort, Wish } from '#hub/rollouts/ports.js';
import { silentLogger } from '#shared/kernel/logger.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { versionOf } from '../../kit/rollout-fleet.js';
import { MemoryRolloutStore } from '../../kit/rollout-store.js';
import { VirtualClock } from '../../kit/virtual-clock.js';
import { beginOf, type Truth, WINDOW } from './truth.js';
import { groupOf, type SimDevice, World } from './world.js';

export interface Outcome {
  /** `completed`, `rolled-back`, or `paused` when it waited for a person. */
  readonly state: string;
  /** Wave it was stopped in, from 1; 0 when it was not. */
  readonly stoppedIn: number;
  /** The gate that stopped it. */
  readonly gate: string;
  /** Devices that served the new version, and predictions it made, before it was stopped. */
  readonly devices: number;
  readonly predictions: number;
  readonly hours: number;
}

export const WAVES = ['1%', '10%', '50%', '100%'];
const ACTOR = { name: 'bench', role: 'operator', source: '' } as const;
const CAPABILITIES: PlanDevice['capabilities'] = {
  os: 'linux',
  arch: 'x64',
  cpus: 4,
  memoryBytes: 4e9,
  providers: ['cpu'],
  runtime: { name: 'onnxruntime', version: '1.30.0' },
};

/** A simulated fleet behind the ports of the real controller. */
class SimFleet implements FleetPort, RegistryPort, EvidenceSource {
  readonly #world: World;
  readonly #clock: VirtualClock;
  readonly #byId: ReadonlyMap<DeviceId, SimDevice>;
  readonly #members: readonly PlanDevice[];
  readonly #wishes = new Map<DeviceId, Wish>();
  #book: EvidenceBook | undefined;
  readonly #lanes: Readonly<Record<Group, Map<SimDevice, Lane>>> = { canary: new Map(), control: new Map() };

  constructor(world: World, clock: VirtualClock) {
    this.#world = world;
    this.#clock = clock;
    this.#byId = new Map(world.devices.map((device) => [device.id, device]));
    this.#members = world.devices.map((device) => ({ id: device.id, labels: {}, capabilities: CAPABILITIES }));
  }

  store(wishes: readonly Wish[]): void {
    for (const wish of wishes) this.#wishes.set(wish.device, wish);
  }

  /** One window passes: devices take up what they were told, predict and report. */
  step(): void {
    const from = this.#clock.now() - WINDOW;
    for (const device of this.#world.devices) {
      const group = groupOf(device);
      const window = group === undefined ? undefined : this.#world.window(device, from);
      if (window !== undefined && group !== undefined) this.#put(device, group, window);
    }
    for (const [id, wish] of this.#wishes) {
      const device = this.#byId.get(id);
      if (device === undefined || device.silent) continue;
      const serving = wish.target?.version === 2 ? 'new' : 'old';
      if (device.serving !== serving) device.since = this.#clock.now();
      device.serving = serving;
    }
  }

  #put(device: SimDevice, group: Group, window: DeviceWindow): void {
    const book = this.#book;
    if (book === undefined) return;
    let lane = this.#lanes[group].get(device);
    if (lane === undefined) {
      lane = book.lane(device.id, group);
      this.#lanes[group].set(device, lane);
    }
    book.put(lane, window);
  }

  figures(query: EvidenceQuery): Promise<Evidence> {
    const { gates, plan, to } = query;
    this.#book ??= new EvidenceBook({
      gates,
      planned: plan.length,
      fleet: this.#world.fleet,
      baseline: (id) => this.#byId.get(id)?.baseline,
    });
    this.#book.begin(query.waves);
    return Promise.resolve(this.#book.figures({ to, canary: new Set(query.canary()), control: query.control() }));
  }

  members(): Promise<readonly PlanDevice[]> {
    return Promise.resolve(this.#members);
  }

  labelsOf(devices: readonly DeviceId[]): ReturnType<FleetPort['labelsOf']> {
    return Promise.resolve(new Map(devices.map((id) => [id, {}])));
  }

  current(_: string, devices: readonly DeviceId[]): ReturnType<FleetPort['current']> {
    return Promise.resolve(new Map(devices.map((id) => [id, versionOf(1)])));
  }

  observe(wishes: readonly Pick<Wish, 'device' | 'target'>[]): Promise<ReadonlyMap<DeviceId, Observation>> {
    const now = this.#clock.now();
    const seen = new Map<DeviceId, Observation>();
    for (const { device: id, target } of wishes) {
      const device = this.#byId.get(id);
      if (device === undefined) continue;
      const reached = !device.silent && device.serving === (target?.version === 2 ? 'new' : 'old');
      seen.set(id, { outcome: reached ? 'reached' : 'pending', heardAt: device.silent ? null : now });
    }
    return Promise.resolve(seen);
  }

  held(): ReturnType<FleetPort['held']> {
    return Promise.resolve(new Map());
  }

  issue(devices: readonly DeviceId[]): Promise<void> {
    for (const id of devices) {
      const device = this.#byId.get(id);
      if (device !== undefined) device.told = true;
    }
    return Promise.resolve();
  }

  version(): ReturnType<RegistryPort['version']> {
    const requires = { providers: ['cpu'] };
    return Promise.resolve({
      manifest: versionOf(2).manifest,
      runnable: { variants: [{ name: 'fp32', opset: 17, requires }] },
    });
  }
}

const DOCUMENT = {
  model: 'vad',
  version: 2,
  cohort: '',
  waves: WAVES,
  bake: '1h',
  deadline: '24h',
  falseAlarms: 0.01,
  maxInFlight: 100_000,
  silent: { after: '1h', as: 'left-out' },
  rollback: { maxInFlight: 100_000 },
};

/** One whole rollout by the real controller and gates, on a virtual clock. */
export async function runRollout(truth: Truth, seed: number): Promise<Outcome> {
  const clock = new VirtualClock();
  clock.setWallClock(beginOf(seed));
  const world = new World(truth, seed);
  const fleet = new SimFleet(world, clock);
  const store = new MemoryRolloutStore((wishes) => fleet.store(wishes));
  const cohorts = { saved: () => Promise.resolve('') };
  const alerts = { notify: () => undefined };
  const outcomes = { outcome: () => Promise.reject(new Error('no trial beside the old version is simulated')) };
  const deps = { store, fleet, evidence: fleet, outcomes, registry: fleet, cohorts, alerts, clock, logger: silentLogger };
  const controller = new RolloutController({ ...deps, joinEvery: Number.POSITIVE_INFINITY, newId: () => `sim-${seed}` });
  const { id } = await controller.create(readRollout(DOCUMENT), ACTOR);
  const began = clock.now();
  for (let i = 0; i < 1000; i++) {
    await clock.advance(WINDOW);
    fleet.step();
    const devices = world.devices.filter((device) => device.serving === 'new').length;
    const predictions = world.exposed;
    await controller.tick();
    const { state } = await store.read(id);
    if (state !== 'rolling-back' && state !== 'paused' && state !== 'completed') continue;
    const last = (await store.decisions(id)).findLast((decision) => decision.event !== 'reverted');
    const gate =
      last?.results.find((result) => result.outcome === 'fail')?.gate ??
      last?.results.find((result) => result.outcome !== 'pass')?.gate ??
      '';
    const stopped = state !== 'completed';
    return {
      state: state === 'rolling-back' ? 'rolled-back' : state,
      stoppedIn: stopped ? (last?.wave ?? 0) + 1 : 0,
      gate: stopped ? gate : '',
      devices,
      predictions,
      hours: (clock.now() - began) / 3_600_000,
    };
  }
  return { state: 'unfinished', stoppedIn: 0, gate: '', devices: 0, predictions: 0, hours: 0 };
}
