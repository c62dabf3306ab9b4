import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROGRAMS } from '#packaging/targets.js';

/** Root of the checkout, from source (test/kit) and from the build (dist/test/kit) alike. */
export const PROJECT_ROOT = ((): string => {
  const here = path.dirname(fileURLToPath(import.meta.url));
  return here.includes(`${path.sep}dist${path.sep}`) ? path.resolve(here, '../../..') : path.resolve(here, '../..');
})();

const SCRIPTS = {
  skerry: path.join(PROJECT_ROOT, 'dist/hub/main.js'),
  'skerry-agent': path.join(PROJECT_ROOT, 'dist/agent/main.js'),
} as const;
export type Program = keyof typeof SCRIPTS;
/** How programs are called instead of from source: the executable, then arguments before those of the call. */
export type Commands = Readonly<Partial<Record<Program, readonly [string, ...string[]]>>>;

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Real child processes of the programs under test; none outlives the owner. */
export class Processes {
  readonly #running = new Set<ChildProcess>();
  readonly #killAll = (): void => {
    for (const child of this.#running) child.kill('SIGKILL');
  };

  readonly #commands: Commands;

  constructor(commands: Commands = {}) {
    this.#commands = commands;
    process.on('exit', this.#killAll);
  }

  /** Starts a long-running program with its output in `logFile`. */
  start(program: Program, args: readonly string[], options: { logFile: string; env?: NodeJS.ProcessEnv; script?: string }): RunningProcess {
    const log = openSync(options.logFile, 'a');
    const [file, ...before] = this.#command(program, options.script);
    const child = spawn(file, [...before, ...args], {
      stdio: ['ignore', log, log],
      env: { ...cleanEnvironment(), ...options.env },
    });
    closeSync(log);
    this.#track(child);
    return new RunningProcess(child, options.logFile);
  }

  /** Runs a command to its end. */
  run(
    program: Program,
    args: readonly string[],
    options: { env?: NodeJS.ProcessEnv; onStdout?: (text: string) => void; onStderr?: (text: string) => void } = {},
  ): Promise<CommandResult> {
    const [file, ...before] = this.#command(program);
    const child = spawn(file, [...before, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...options.env },
    });
    this.#track(child);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      options.onStdout?.(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      options.onStderr?.(text);
    });
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code: code ?? (signal === null ? 1 : 128), stdout, stderr }));
    });
  }

  /** Runs a command with `--json` and parses what it prints; throws with its error output when it fails. */
  async json(program: Program, args: readonly string[], options: { env?: NodeJS.ProcessEnv } = {}): Promise<unknown> {
    const result = await this.run(program, [...args, '--json'], options);
    if (result.code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${result.code}: ${result.stderr || result.stdout}`);
    return JSON.parse(result.stdout);
  }

  /** Ends everything still running: politely, then by force. */
  async close(): Promise<void> {
    await Promise.all([...this.#running].map((child) => endChild(child)));
    process.off('exit', this.#killAll);
  }

  #command(program: Program, script: string = SCRIPTS[program]): readonly [string, ...string[]] {
    // As the first lines of the two scripts say.
    const flags = program === 'skerry-agent' ? PROGRAMS.agent.nodeFlags : [];
    return this.#commands[program] ?? [process.execPath, ...flags, script];
  }

  #track(child: ChildProcess): void {
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
  }
}

export class RunningProcess {
  readonly #child: ChildProcess;
  readonly logFile: string;
  readonly exited: Promise<number>;

  constructor(child: ChildProcess, logFile: string) {
    this.#child = child;
    this.logFile = logFile;
    this.exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 128))));
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** `kill -9`, and waits until the process is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  /** SIGTERM, and by force when that has not ended it after long. */
  async stop(): Promise<number> {
    await endChild(this.#child);
    return this.exited;
  }

  log(): Promise<string> {
    return readFile(this.logFile, 'utf8');
  }
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 30_000);
  await gone;
  clearTimeout(force);
}

/** The environment without settings of the caller's own Skerry: what a test starts is configured by its arguments alone. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('SKERRY_') && key !== 'NODE_OPTIONS'));
}
