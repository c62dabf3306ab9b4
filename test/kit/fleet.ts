import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { type Faults, FAULTS_VARIABLE, HUB_WITH_FAULTS } from './faults.js';
import { type CommandResult, type Processes, type RunningProcess } from './processes.js';
import { until } from './until.js';

export interface FleetOptions {
  /** Everything the fleet writes lies below. */
  readonly folder: string;
  readonly processes: Processes;
  /** Further arguments of `skerry hub run` and `skerry-agent run`. */
  readonly hubArgs?: readonly string[];
  readonly agentArgs?: readonly string[];
}

export interface FleetAgent {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly data: string;
  process: RunningProcess;
  /** Base URL of its local API. */
  url: string;
}

export interface HubAddress {
  readonly url: string;
  readonly token: string;
}

/**
 * A real fleet on this machine: a hub process with its embedded broker, a publisher folder it never reads, and agent
 * processes, driven through the same commands a person types.
 */
export class Fleet {
  readonly folder: string;
  readonly #options: FleetOptions;
  readonly agents: FleetAgent[] = [];
  #hub: { process: RunningProcess; httpPort: number; mqttPort: number } | undefined;
  #address: HubAddress | undefined;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.folder = options.folder;
  }

  get hub(): HubAddress {
    if (this.#address === undefined) throw new Error('the hub was not started');
    return this.#address;
  }

  get hubProcess(): RunningProcess {
    if (this.#hub === undefined) throw new Error('the hub was not started');
    return this.#hub.process;
  }

  get mqttPort(): number {
    if (this.#hub === undefined) throw new Error('the hub was not started');
    return this.#hub.mqttPort;
  }

  get hubData(): string {
    return path.join(this.folder, 'hub');
  }

  get publisherFolder(): string {
    return path.join(this.folder, 'publisher');
  }

  /** Starts the hub, or starts it again on the ports it had; with faults it ends itself where they say, perhaps before it is ready. */
  async startHub(faults?: Faults): Promise<void> {
    const { httpPort = 0, mqttPort = 0 } = this.#hub ?? {};
    await mkdir(path.join(this.folder, 'log'), { recursive: true });
    const args = ['hub', 'run', '--data', this.hubData, '--http-port', `${httpPort}`, '--mqtt-port', `${mqttPort}`];
    const process = this.#options.processes.start('skerry', [...args, ...(this.#options.hubArgs ?? [])], {
      logFile: path.join(this.folder, 'log', 'hub.log'),
      ...(faults === undefined ? {} : { script: HUB_WITH_FAULTS, env: { [FAULTS_VARIABLE]: JSON.stringify(faults) } }),
    });
    if (this.#hub !== undefined) this.#hub = { ...this.#hub, process };
    const { httpUrl, mqttUrl } = await this.#whileAlive(process, 'the hub to be ready', async () => {
      const state = JSON.parse(await readFile(path.join(this.hubData, 'hub.json'), 'utf8')) as {
        pid: number;
        httpUrl: string;
        mqttUrl: string;
      };
      return state.pid === process.pid && state;
    });
    this.#hub = { process, httpPort: Number(new URL(httpUrl).port), mqttPort: Number(new URL(mqttUrl).port) };
    this.#address = { url: httpUrl, token: (await readFile(path.join(this.hubData, 'admin.token'), 'utf8')).trim() };
  }

  /** Makes the publisher folder and gives the hub its root of trust; `--agent` lets its publisher sign agents as well. */
  async initTrust(args: readonly string[] = []): Promise<void> {
    await writeFile(path.join(this.folder, 'passphrase'), 'a passphrase for this run only\n', { mode: 0o600 });
    await this.command(['trust', 'init', ...args, ...this.#keyArgs()]);
  }

  /** Enrols a device with a one-time token of its own. */
  async enrol(name: string, labels: Readonly<Record<string, string>>): Promise<FleetAgent> {
    const data = path.join(this.folder, 'devices', name);
    const token = (await this.command(['token', 'create', 'enrolment'])) as { token: string };
    const labelArgs = Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
    const args = ['enroll', '--data', data, '--hub', this.hub.url, '--token', token.token, '--name', name, ...labelArgs];
    await this.#options.processes.json('skerry-agent', args);
    const process = this.#startAgent(name, data, 0);
    const agent: FleetAgent = { name, labels, data, process, url: '' };
    agent.url = await this.#agentUrl(agent);
    this.agents.push(agent);
    return agent;
  }

  async restartAgent(agent: FleetAgent): Promise<void> {
    this.startAgentOn(agent, 0);
    await this.findAgent(agent);
  }

  /** Starts the agent's process with its API on `port`, and does not wait for it; by `launch` as a service does. */
  startAgentOn(agent: FleetAgent, port: number, command: 'run' | 'launch' = 'run'): void {
    agent.process = this.#startAgent(agent.name, agent.data, port, command);
  }

  /** Waits until the agent says where its local API is. */
  async findAgent(agent: FleetAgent): Promise<void> {
    agent.url = await this.#agentUrl(agent);
  }

  #startAgent(name: string, data: string, port: number, command: 'run' | 'launch' = 'run'): RunningProcess {
    const args = [command, '--data', data, '--http-port', `${port}`, ...(this.#options.agentArgs ?? [])];
    return this.#options.processes.start('skerry-agent', args, { logFile: path.join(this.folder, 'log', `${name}.log`) });
  }

  #agentUrl(agent: FleetAgent): Promise<string> {
    return this.#whileAlive(agent.process, `agent ${agent.name} to serve its local API`, async () => {
      const running = JSON.parse(await readFile(path.join(agent.data, 'agent.json'), 'utf8')) as { pid: number; http: string };
      return running.pid === agent.process.pid && running.http;
    });
  }

  async #whileAlive<T>(process: RunningProcess, what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
    const outcome = await Promise.race([until(what, probe, { deadlineMs: 60_000 }), process.exited.then((code) => new Exited(code))]);
    if (outcome instanceof Exited) throw new Error(`ended with ${outcome.code} while waiting for ${what}:\n${await process.log()}`);
    return outcome;
  }

  /** Publishes with the publisher's keys; resolves with what the command says. */
  publish(file: string, args: readonly string[]): Promise<unknown> {
    return this.command(['publish', file, ...args, ...this.#keyArgs()]);
  }

  /** Publishes a release of the agent with the publisher's keys; resolves with what the command says. */
  publishAgent(files: readonly string[], args: readonly string[]): Promise<unknown> {
    return this.command(['publish-agent', ...files, ...args, ...this.#keyArgs()]);
  }

  /** Retires versions with the publisher's keys; resolves with what the command says. */
  retire(versions: string, args: readonly string[] = []): Promise<unknown> {
    return this.command(['model', 'retire', versions, '--yes', ...args, ...this.#keyArgs()]);
  }

  #keyArgs(): readonly string[] {
    return ['--keys', this.publisherFolder, '--passphrase-file', path.join(this.folder, 'passphrase')];
  }

  /** Runs a `skerry` command against this hub and parses its JSON. */
  command(args: readonly string[]): Promise<unknown> {
    return this.#options.processes.json('skerry', args, { env: this.environment() });
  }

  /** Runs a `skerry` command as a person would, handing over its output line by line. */
  watch(args: readonly string[], onLine: (line: string) => void): Promise<CommandResult> {
    let rest = '';
    const onText = (text: string): void => {
      const lines = `${rest}${text}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    };
    return this.#options.processes.run('skerry', args, { env: this.environment(), onStdout: onText, onStderr: onText });
  }

  /** Settings that point the command line at this hub. */
  environment(): NodeJS.ProcessEnv {
    return { SKERRY_HUB: this.hub.url, SKERRY_TOKEN: this.hub.token };
  }

  /** Asks the hub's API. */
  async api(route: string): Promise<unknown> {
    const response = await fetch(`${this.hub.url}/api/v1${route}`, { headers: { authorization: `Bearer ${this.hub.token}` } });
    const text = await response.text();
    if (!response.ok) throw new Error(`GET ${route} answered ${response.status}: ${text}`);
    return JSON.parse(text);
  }
}

class Exited {
  readonly code: number;
  constructor(code: number) {
    this.code = code;
  }
}

/** A port nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
