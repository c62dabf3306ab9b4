import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { PROGRAMS } from '#packaging/targets.js';
import { writeFiles } from '../../kit/model-folder.js';
import { PROJECT_ROOT } from '../../kit/processes.js';
import { addressSchema, type TargetAddress, type TargetSettings } from './target-protocol.js';
import { MODELS, type ModelOfBench } from './models.js';

interface TargetOptions {
  readonly models: readonly ModelOfBench[];
  readonly instances?: number;
  /** More files of the folder of models, by path. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

/** The server that is measured, in a process of its own. */
export class Target {
  readonly address: TargetAddress;
  /** Where its models lie. */
  readonly models: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string, address: TargetAddress) {
    this.#child = child;
    this.#folder = folder;
    this.address = address;
    this.models = path.join(folder, 'models');
  }

  static async open({ models, instances = 1, files = {} }: TargetOptions): Promise<Target> {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-bench-'));
    const found = models.map(async (name) => [`${name}/1/model.onnx`, await MODELS[name].bytes()] as const);
    await writeFiles(path.join(folder, 'models'), { ...Object.fromEntries(await Promise.all(found)), ...files });
    const settings: TargetSettings = { folder, instances };
    const child = fork(path.join(PROJECT_ROOT, 'dist/test/bench/serve/target.js'), [JSON.stringify(settings)], {
      execArgv: [...targetFlags()],
    });
    const [address] = z
      .tuple([addressSchema])
      .rest(z.unknown())
      .parse(await once(child, 'message'));
    return new Target(child, folder, address);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** A request of the management of models, which must be answered by 200. */
  async post(where: string, body: unknown = {}): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${this.address.http}${where}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${where}: ${answer.status} ${text}`);
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Flags of Node for the process that is measured: those of the agent, or others, such as `--cpu-prof`, which shows where its time goes. */
function targetFlags(): readonly string[] {
  return (process.env['BENCH_TARGET_FLAGS'] ?? PROGRAMS.agent.nodeFlags.join(' ')).split(' ').filter((flag) => flag !== '');
}
