import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { AgentStatus } from '#agent/contract.js';
import type { InstallState } from '#shared/protocol/messages.js';
import { AGENT_LACKING, AGENT_WITH_FAULTS, type Faults, FAULTS_VARIABLE, LACKS_VARIABLE } from '../kit/faults.js';
import type { Processes, RunningProcess } from '../kit/processes.js';
import type { TcpProxy } from '../kit/tcp-proxy.js';
import { until } from '../kit/until.js';

/** Settings that make a device quick to see and to say things. */
const QUICK = ['--http-port', '0', '--bake', '300ms', '--reconnect-max', '300ms', '--window', '1s', '--keepalive', '5s'];

export interface StartOptions {
  /** Further settings of `skerry-agent run`; they win over the quick ones. */
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly faults?: Faults;
  /** Features that its agent does not have, as an earlier release. */
  readonly lacks?: readonly string[];
}

export interface InputOptions {
  readonly name?: string;
  readonly datatype?: string;
  readonly deadlineMs?: number;
}

export interface Answer {
  readonly status: number;
  /** Version that answered. */
  readonly version: number;
  readonly y: readonly number[];
  readonly code: string | undefined;
}

export interface DeviceParts {
  readonly name: string;
  readonly data: string;
  /** What it reaches its broker through. */
  readonly cable: TcpProxy;
  readonly logFile: string;
  readonly processes: Processes;
}

/** One device: its folder, and the agent process that runs in it now. */
export class Device {
  readonly name: string;
  readonly data: string;
  readonly cable: TcpProxy;
  readonly #logFile: string;
  readonly #processes: Processes;
  #process: RunningProcess | undefined;
  #url = '';

  constructor({ name, data, cable, logFile, processes }: DeviceParts) {
    this.name = name;
    this.data = data;
    this.cable = cable;
    this.#logFile = logFile;
    this.#processes = processes;
  }

  get process(): RunningProcess {
    if (this.#process === undefined) throw new Error(`${this.name} was not started`);
    return this.#process;
  }

  /** Was it ever started? */
  get launched(): boolean {
    return this.#process !== undefined;
  }

  /** Base URL of the local API. */
  get url(): string {
    return this.#url;
  }

  /** From now on its broker does not know its password. */
  async forgetPassword(): Promise<void> {
    const file = path.join(this.data, 'identity.json');
    const identity = JSON.parse(await readFile(file, 'utf8')) as { mqtt: { password: string } };
    identity.mqtt.password = 'not the password';
    await writeFile(file, JSON.stringify(identity), { mode: 0o600 });
  }

  /** Starts the process and does not wait for it. */
  launch({ args = [], env = {}, faults, lacks }: StartOptions = {}): RunningProcess {
    const script = faults !== undefined ? { script: AGENT_WITH_FAULTS } : lacks !== undefined ? { script: AGENT_LACKING } : {};
    const variables = {
      ...env,
      ...(faults && { [FAULTS_VARIABLE]: JSON.stringify(faults) }),
      ...(lacks && { [LACKS_VARIABLE]: lacks.join(',') }),
    };
    this.#process = this.#processes.start('skerry-agent', ['run', '--data', this.data, ...QUICK, ...args], {
      logFile: this.#logFile,
      env: variables,
      ...script,
    });
    return this.#process;
  }

  /** Starts the process and waits until its local API answers. */
  async start(options: StartOptions = {}): Promise<void> {
    const { pid, exited } = this.launch(options);
    const ended = exited.then((code) => ({ code }));
    const up = until(`${this.name} to serve its local API`, async () => {
      const running = JSON.parse(await readFile(path.join(this.data, 'agent.json'), 'utf8')) as { pid: number; http: string };
      return running.pid === pid && { http: running.http };
    });
    const outcome = await Promise.race([up, ended]);
    if ('code' in outcome) throw new Error(`${this.name} ended with ${outcome.code}:\n${await this.process.log()}`);
    this.#url = outcome.http;
  }

  /** `kill -9`. */
  kill(): Promise<void> {
    return this.process.kill();
  }

  stop(): Promise<number> {
    return this.process.stop();
  }

  log(): Promise<string> {
    return readFile(this.#logFile, 'utf8');
  }

  async status(): Promise<AgentStatus> {
    return (await (await fetch(`${this.#url}/skerry/v1/status`)).json()) as AgentStatus;
  }

  /** Version in service; null when none is. */
  async serving(model: string): Promise<number | null> {
    const { reported } = await this.status();
    return reported.models.find((entry) => entry.model === model)?.serving ?? null;
  }

  async version(model: string, version: number): Promise<AgentStatus['reported']['models'][number]['versions'][number] | undefined> {
    const { reported } = await this.status();
    return reported.models.find((entry) => entry.model === model)?.versions.find((entry) => entry.version === version);
  }

  /** One prediction with one row. */
  async predict(model: string, x: readonly number[], input: InputOptions = {}): Promise<Answer> {
    const { name = 'x', datatype = 'FP32' } = input;
    const response = await fetch(`${this.#url}/v2/models/${model}/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ inputs: [{ name, datatype, shape: [1, x.length], data: x }] }),
    });
    const body = (await response.json()) as { model_version?: string; outputs?: { data: number[] }[]; code?: string };
    return { status: response.status, version: Number(body.model_version), y: body.outputs?.[0]?.data ?? [], code: body.code };
  }

  /** Waits until a prediction is answered, by whichever version. */
  answered(model: string, x: readonly number[], input: InputOptions = {}): Promise<Answer> {
    const answered = until(
      `${this.name} to answer for ${model}`,
      async () => {
        const answer = await this.predict(model, x, input);
        return answer.status === 200 && answer;
      },
      { deadlineMs: input.deadlineMs ?? 90_000 },
    );
    return this.#orLog(answered);
  }

  /** Waits until a prediction is answered by `version`. */
  answeredBy(model: string, version: number, x: readonly number[] = [1, 2, 3, 4], input: InputOptions = {}): Promise<Answer> {
    return this.#orLog(
      until(
        `${this.name} to answer with ${model}@${version}`,
        async () => {
          const answer = await this.predict(model, x, input);
          return answer.version === version && answer;
        },
        { deadlineMs: input.deadlineMs ?? 90_000 },
      ),
    );
  }

  /** Waits until a version is in an install state. */
  installed(model: string, version: number, state: InstallState, deadlineMs = 90_000): Promise<void> {
    const reached = until(
      `${model}@${version} to be ${state} on ${this.name}`,
      async () => (await this.version(model, version))?.install === state,
      { deadlineMs },
    );
    return this.#orLog(reached.then(() => undefined));
  }

  online(deadlineMs = 90_000): Promise<void> {
    const reached = until(`${this.name} to be online`, async () => (await this.status()).link.kind === 'online', { deadlineMs });
    return this.#orLog(reached.then(() => undefined));
  }

  /** A wait that fails shows the end of the device's log. */
  async #orLog<T>(wait: Promise<T>): Promise<T> {
    try {
      return await wait;
    } catch (cause) {
      const log = await this.log().catch(() => '');
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${log.split('\n').slice(-40).join('\n')}`, { cause });
    }
  }
}
