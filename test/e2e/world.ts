import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { vi } from 'vitest';
import type { StoredEvent, VersionMetrics } from '#hub/telemetry/views.js';
import { Fleet } from '../kit/fleet.js';
import { type CommandResult, Processes } from '../kit/processes.js';
import { TcpProxy } from '../kit/tcp-proxy.js';
import { until } from '../kit/until.js';
import { Device } from './device.js';

// Real processes on a machine that may be busy: what takes seconds here may take a minute there, and is no failure.
vi.setConfig({ testTimeout: 900_000, hookTimeout: 900_000 });

export interface WorldOptions {
  readonly hubArgs?: readonly string[];
  /** Further arguments of `skerry trust init`, such as `--agent`. */
  readonly trustArgs?: readonly string[];
}

/** A hub of real processes, a publisher, and devices that are started when a test says so, each on a network cable of its own. */
export class World {
  readonly folder: string;
  readonly processes = new Processes();
  readonly fleet: Fleet;
  readonly #cables: TcpProxy[] = [];

  private constructor(folder: string, hubArgs: readonly string[]) {
    this.folder = folder;
    this.fleet = new Fleet({ folder, processes: this.processes, hubArgs });
  }

  /** Starts a hub with a root of trust. */
  static async start({ hubArgs = [], trustArgs = [] }: WorldOptions = {}): Promise<World> {
    const world = new World(await mkdtemp(path.join(os.tmpdir(), 'skerry-e2e-')), hubArgs);
    await world.fleet.startHub();
    await world.fleet.initTrust(trustArgs);
    return world;
  }

  async close(): Promise<void> {
    await this.processes.close();
    await Promise.all(this.#cables.map((cable) => cable.close()));
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  /** `kill -9`: the hub and, where it is embedded, its broker are gone. `fleet.startHub` starts it again. */
  killHub(): Promise<void> {
    return this.fleet.hubProcess.kill();
  }

  /** Makes a device a member of the fleet, by the command; it is not started. */
  async enrol(name: string, options: { readonly labels?: Readonly<Record<string, string>>; readonly data?: string } = {}): Promise<Device> {
    const data = options.data ?? path.join(this.folder, 'devices', name);
    const { token } = (await this.fleet.command(['token', 'create', 'enrolment'])) as { token: string };
    const labels = Object.entries(options.labels ?? {}).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
    const args = ['enroll', '--data', data, '--hub', this.fleet.hub.url, '--token', token, '--name', name, ...labels];
    await this.processes.json('skerry-agent', args);
    const cable = await TcpProxy.start(await brokerPort(data));
    this.#cables.push(cable);
    await plugIn(data, cable.port);
    return new Device({ name, data, cable, logFile: path.join(this.folder, 'log', `${name}.log`), processes: this.processes });
  }

  /** The same device once more, as it was when it stopped. Only one of the two may run. */
  async copyOf(device: Device, name: string): Promise<Device> {
    const data = path.join(this.folder, 'copies', name);
    await cp(device.data, data, { recursive: true, filter: (file) => !file.endsWith('.sock') });
    return new Device({
      name: device.name,
      cable: device.cable,
      data,
      logFile: path.join(this.folder, 'log', `${name}.log`),
      processes: this.processes,
    });
  }

  /** Signs and uploads a version, by the command. */
  async publish(model: string, version: number, onnx: Uint8Array | string, args: readonly string[] = []): Promise<void> {
    const file = typeof onnx === 'string' ? onnx : path.join(this.folder, `${model}-${version}.onnx`);
    if (typeof onnx !== 'string') await writeFile(file, onnx);
    await this.fleet.publish(file, ['--name', model, '--version', `${version}`, ...args]);
  }

  /** Says, by the command, that devices should run a version; does not wait for them. */
  async deploy(reference: string, to = '', args: readonly string[] = []): Promise<number> {
    const { id } = (await this.fleet.command(['deploy', reference, '--to', to, ...args])) as { id: number };
    return id;
  }

  /** Runs a `skerry` command against the hub, whatever comes of it. */
  run(args: readonly string[]): Promise<CommandResult> {
    return this.processes.run('skerry', args, { env: this.fleet.environment() });
  }

  async metrics(model: string): Promise<readonly VersionMetrics[]> {
    return ((await this.fleet.api(`/metrics/models/${model}`)) as { versions: VersionMetrics[] }).versions;
  }

  /** Events the hub has stored, newest first; `query` as the API takes it. */
  async events(query: string): Promise<readonly StoredEvent[]> {
    return ((await this.fleet.api(`/events?${query}`)) as { events: StoredEvent[] }).events;
  }

  /** Waits until the hub has events of this kind: a report of a device may come before the events that led to it. */
  heard(query: string): Promise<readonly StoredEvent[]> {
    return until(`the hub to hear of ${query}`, async () => {
      const events = await this.events(query);
      return events.length > 0 && events;
    });
  }

  /** One figure of the hub's own `/metrics`, summed over its labels; 0 when it is not there. */
  async hubFigure(name: string): Promise<number> {
    const text = await (
      await fetch(`${this.fleet.hub.url}/metrics`, { headers: { authorization: `Bearer ${this.fleet.hub.token}` } })
    ).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }
}

interface IdentityFile {
  readonly mqtt: { url: string; wsUrl?: string };
}

async function brokerPort(data: string): Promise<number> {
  const { mqtt } = JSON.parse(await readFile(path.join(data, 'identity.json'), 'utf8')) as IdentityFile;
  return Number(new URL(mqtt.url).port);
}

/** From now on the device reaches its broker through `port`, and no other way. */
async function plugIn(data: string, port: number): Promise<void> {
  const file = path.join(data, 'identity.json');
  const identity = JSON.parse(await readFile(file, 'utf8')) as IdentityFile;
  identity.mqtt.url = `mqtt://127.0.0.1:${port}`;
  delete identity.mqtt.wsUrl;
  await writeFile(file, JSON.stringify(identity), { mode: 0o600 });
}
