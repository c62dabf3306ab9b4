import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import type { DeviceDetail } from '#hub/fleet/device-view.js';
import type { OperatorEvent, RolloutState } from '#hub/rollouts/decide/machine.js';
import type { DecisionView, RolloutDetail, RolloutDeviceView } from '#hub/rollouts/views.js';
import { until } from '../kit/until.js';
import type { Device, InputOptions, StartOptions } from './device.js';
import { Told } from './told.js';
import { World } from './world.js';

/** Settings of a hub that counts by the second and decides as soon as it can. */
export const QUICK_HUB = ['--device-step', '1s', '--rollout-look', '1s'];
/** Long enough for a machine that has other things to do. */
const DEADLINE_MS = 400_000;

/** Makes so many devices, named `prefix-1` and so on; they are not started. */
export async function enrolDevices(world: World, prefix: string, count: number): Promise<Device[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => world.enrol(`${prefix}-${index + 1}`, { labels: { group: prefix } })));
}

/** A fleet of which every device serves version 1 of the model `m` as good. */
export interface Serving {
  readonly world: World;
  readonly devices: Device[];
  /** What each device is told, from its start on. */
  readonly told: readonly Told[];
}

/** Publishes `versions` as `m@1`, `m@2` and so on to a quick hub, and starts so many devices that serve the first. */
export async function startServing(prefix: string, count: number, versions: readonly Uint8Array[]): Promise<Serving> {
  const world = await World.start({ hubArgs: QUICK_HUB });
  try {
    for (const [index, bytes] of versions.entries()) await world.publish('m', index + 1, bytes, ['--samples', '1']);
    const devices = await enrolDevices(world, prefix, count);
    const told = devices.map((device) => new Told(device));
    await startAll(devices);
    await settle(world, devices, 'm', 1);
    return { world, devices, told };
  } catch (cause) {
    await world.close();
    throw cause;
  }
}

/** Starts devices and waits until each is online. */
export async function startAll(devices: readonly Device[], options: StartOptions = {}): Promise<void> {
  await Promise.all(devices.map((device) => device.start(options)));
  await Promise.all(devices.map((device) => device.online(DEADLINE_MS)));
}

/** Deploys a version to the devices `to` selects (all), and waits until the hub has heard from each of `devices` that it is good. */
export async function settle(world: World, devices: readonly Device[], model: string, version: number, to = ''): Promise<void> {
  await world.deploy(`${model}@${version}`, to);
  await Promise.all(devices.map((device) => device.installed(model, version, 'good', DEADLINE_MS)));
  for (const device of devices) await reports(world, device, model, version, 'good');
}

/** Waits until the newest report the hub holds of a device says so, in answer to the newest statement it was sent. */
export async function reports(world: World, { name }: Device, model: string, version: number, install: string): Promise<DeviceDetail> {
  return until(
    `${name} to report ${model}@${version} as ${install}`,
    async () => {
      const detail = await deviceOf(world, name);
      const entry = detail.reported?.models.find((candidate) => candidate.model === model);
      const said = entry?.versions.find((candidate) => candidate.version === version);
      return detail.reported?.desired.counter === detail.desired.counter && said?.install === install && detail;
    },
    { deadlineMs: DEADLINE_MS, everyMs: 100 },
  );
}

/** What the hub knows of a device. */
export async function deviceOf(world: World, name: string): Promise<DeviceDetail> {
  return (await world.fleet.api(`/devices/${name}`)) as DeviceDetail;
}

/** Version a device serves by its newest report, and whether the report answers its newest statement. */
export async function servedBy(world: World, { name }: Device, model: string): Promise<{ version: number | null; upToDate: boolean }> {
  const { reported, desired } = await deviceOf(world, name);
  const version = reported?.models.find((entry) => entry.model === model)?.serving ?? null;
  return { version, upToDate: reported?.desired.counter === desired.counter };
}

/** A rollout, driven by the commands a person types and read through the API. */
export class Rollout {
  readonly #world: World;
  readonly id: string;

  private constructor(world: World, id: string) {
    this.#world = world;
    this.id = id;
  }

  /** `skerry rollout create -f`. */
  static async create(world: World, document: object, args: readonly string[] = []): Promise<Rollout> {
    const file = path.join(world.folder, 'rollout.json');
    await writeFile(file, JSON.stringify(document));
    const { id } = (await world.fleet.command(['rollout', 'create', '-f', file, ...args])) as { id: string };
    return new Rollout(world, id);
  }

  async detail(): Promise<RolloutDetail> {
    return (await this.#world.fleet.api(`/rollouts/${this.id}`)) as RolloutDetail;
  }

  async decisions(): Promise<readonly DecisionView[]> {
    return ((await this.#world.fleet.api(`/rollouts/${this.id}/decisions`)) as { decisions: DecisionView[] }).decisions;
  }

  async rows(): Promise<readonly RolloutDeviceView[]> {
    return ((await this.#world.fleet.api(`/rollouts/${this.id}/devices`)) as { devices: RolloutDeviceView[] }).devices;
  }

  /** `skerry rollout pause`, `resume`, `abort` and so on. */
  async act(action: OperatorEvent, reason?: string): Promise<void> {
    await this.#world.fleet.command(['rollout', action, this.id, ...(reason === undefined ? [] : ['--reason', reason])]);
  }

  /** Waits for `probe` to hold; a wait that fails tells the whole story of the rollout. */
  async until(
    what: string,
    probe: (detail: RolloutDetail) => boolean | Promise<boolean>,
    deadlineMs = DEADLINE_MS,
  ): Promise<RolloutDetail> {
    try {
      return await until(
        `rollout ${this.id}: ${what}`,
        async () => {
          const detail = await this.detail();
          return (await probe(detail)) && detail;
        },
        { deadlineMs, everyMs: 100 },
      );
    } catch (cause) {
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${await this.#story()}`, { cause });
    }
  }

  /** Waits until it is in one of the states; fails as soon as it ends in another. */
  async reach(...states: readonly RolloutState[]): Promise<RolloutDetail> {
    const detail = await this.until(`to be ${states.join(' or ')}`, ({ state }) => states.includes(state) || ENDS.includes(state));
    if (!states.includes(detail.state)) throw new Error(`${this.id} is ${detail.state}\n${await this.#story()}`);
    return detail;
  }

  async #story(): Promise<string> {
    const { outlook } = await this.detail();
    const decisions = (await this.decisions()).map(
      ({ at, event, from, to, wave, reason }) => `${at} ${wave}: ${event} ${from} -> ${to}: ${reason}`,
    );
    const rows = (await this.rows()).map(({ device, wave, status, error }) => `${device} in ${wave}: ${status} ${error?.code ?? ''}`);
    return [...decisions, ...rows, `waits for: ${outlook?.waitingFor}`].join('\n');
  }
}

/** Expects the decisions in a row: numbered without a gap, each going on from where the one before it led. Returns what they were. */
export async function expectChain(rollout: Rollout): Promise<readonly string[]> {
  const decisions = await rollout.decisions();
  const { state } = await rollout.detail();
  expect(decisions.map(({ number }) => number)).toEqual(decisions.map((_, index) => index + 1));
  expect(decisions.slice(1).map(({ from }) => from)).toEqual(decisions.slice(0, -1).map(({ to }) => to));
  expect(decisions.at(-1)?.to).toBe(state);
  const times = decisions.map(({ at }) => Date.parse(at));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  return decisions.map(({ wave, event }) => `${wave} ${event}`);
}

const ENDS: readonly RolloutState[] = ['paused', 'completed', 'rolled-back', 'aborted', 'superseded'];

/** What every device of the rollout reports in the end, and was told on the way, of a version that was taken back. */
export interface TakenBack {
  readonly world: World;
  /** Marked before the rollout began. */
  readonly told: readonly Told[];
  readonly rollout: Rollout;
  readonly model: string;
  readonly from: number;
  readonly to: number;
  /** What a request to the model looks like. */
  readonly as?: InputOptions;
}

/**
 * Expects that the devices that were told of a version serve the old one again by their own reports, and that the others
 * never heard of it. Returns the names of those that had it.
 */
export async function expectTakenBack({ world, told, rollout, model, from, to, as }: TakenBack): Promise<readonly string[]> {
  const had: string[] = [];
  for (const row of await rollout.rows()) {
    const heard = told.find(({ device }) => device.name === row.device);
    if (heard === undefined) throw new Error(`${row.device} is none of the devices`);
    const { device } = heard;
    const { reported, desired } = await reports(world, device, model, to, 'good');
    expect(reported?.models.find((entry) => entry.model === model)).toMatchObject({ serving: to });
    expect(desired.models.find((entry) => entry.model === model)).toMatchObject({ version: to });
    expect((await device.predict(model, [0, 0, 0, 0], as)).version).toBe(to);
    const versions = heard.versions(model);
    if (row.toldAt === null) {
      expect(row.status).toMatch(/^(waiting|holdout)$/);
      expect(versions).toEqual([]);
      continue;
    }
    expect(row.status).toBe('reverted');
    // Told of it once, and told once to go back.
    expect(versions).toEqual([from, to]);
    had.push(device.name);
  }
  return had;
}

/** What a wave that passes goes through. */
export function passing(wave: number, last = false): readonly string[] {
  return ['begin-wave', 'all-decided', 'baked', last ? 'finished' : 'wave-passed'].map((event) => `${wave} ${event}`);
}
