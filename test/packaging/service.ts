import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { AgentStatus } from '#agent/contract.js';
import type { Slots } from '#agent/update/slots.js';
import { until } from '../kit/until.js';

type Models = AgentStatus['reported']['models'];

export interface ServiceOptions {
  /** The packaged executable. */
  readonly program: string;
  readonly data: string;
  readonly logFile: string;
  readonly args: readonly string[];
  /** What the program is started by, if not directly. */
  readonly by?: readonly string[];
}

/** Starts the launcher, and starts it again whenever it ends, as a service manager does (`Restart=always`). */
export class AgentService {
  readonly #options: ServiceOptions;
  #child: ChildProcess | undefined;
  #stopped = false;
  /** Lines of the log that end the process with SIGKILL when they first appear; each once. */
  #killAt = new Set<string>();
  #read = 0;
  #watching: Promise<void> | undefined;
  /** How the process ended each time. */
  readonly ends: string[] = [];
  readonly killed: string[] = [];

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopped = false;
    this.#spawn();
    this.#watching ??= this.#watch();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(force);
    }
    await this.#watching;
    this.#watching = undefined;
  }

  /** From now on the process is killed once at each of these steps. */
  killAtEach(steps: readonly string[]): void {
    this.#killAt = new Set(steps);
    this.killed.length = 0;
  }

  /** The power goes. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Status of the process that runs now; rejects while none answers. */
  async status(): Promise<AgentStatus> {
    const running = JSON.parse(await readFile(path.join(this.#options.data, 'agent.json'), 'utf8')) as { pid: number; http: string };
    const response = await fetch(`${running.http}/skerry/v1/status`, { signal: AbortSignal.timeout(2_000) });
    return (await response.json()) as AgentStatus;
  }

  /** What it says of a release of its own. */
  async release(version: number): Promise<Models[number]['versions'][number] | undefined> {
    const { reported } = await this.status();
    return reported.models.find(({ model }) => model === 'skerry-agent')?.versions.find((entry) => entry.version === version);
  }

  async slots(): Promise<Slots> {
    return JSON.parse(await readFile(path.join(this.#options.data, 'agents', 'slot.json'), 'utf8')) as Slots;
  }

  /** Waits for a condition; when it does not come, shows the end of the log. */
  async until<T>(what: string, probe: () => Promise<T | undefined | false>, deadlineMs: number): Promise<T> {
    try {
      return await until(what, probe, { deadlineMs, everyMs: 100 });
    } catch (cause) {
      const log = await readFile(this.#options.logFile, 'utf8').catch(() => '');
      const said = log.split('\n').slice(-60).join('\n');
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}; ended: ${this.ends.join(', ')}\n${said}`, { cause });
    }
  }

  #spawn(): void {
    const { program, data, logFile, args, by = [] } = this.#options;
    const log = openSync(logFile, 'a');
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('SKERRY_') && key !== 'NODE_OPTIONS'));
    const [file = program, ...rest] = [...by, program, 'launch', '--data', data, ...args];
    const child = spawn(file, rest, { stdio: ['ignore', log, log], env });
    closeSync(log);
    this.#child = child;
    child.once('exit', (code, signal) => {
      this.ends.push(signal ?? String(code));
      if (!this.#stopped) setTimeout(() => !this.#stopped && this.#spawn(), 100);
    });
  }

  /** Reads the log as it grows. */
  async #watch(): Promise<void> {
    let rest = '';
    while (!this.#stopped) {
      const text = rest + (await this.#more());
      const lines = text.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#look(line);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  #look(line: string): void {
    const step = /"step":"(\w+)"/.exec(line)?.[1] ?? (line.includes('makes room') ? 'makesRoom' : undefined);
    if (step === undefined || !this.#killAt.delete(step)) return;
    this.killed.push(step);
    this.#child?.kill('SIGKILL');
  }

  async #more(): Promise<string> {
    const file = await open(this.#options.logFile, 'r').catch(() => undefined);
    if (file === undefined) return '';
    try {
      const { size } = await file.stat();
      if (size <= this.#read) return '';
      const bytes = Buffer.alloc(size - this.#read);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, this.#read);
      this.#read += bytesRead;
      return bytes.subarray(0, bytesRead).toString('utf8');
    } finally {
      await file.close();
    }
  }
}
