import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { PROJECT_ROOT } from '../../kit/processes.js';
import type { LoadRequest } from './requests.js';

export interface Load {
  /** `tcp:PORT` or `unix:PATH`. */
  readonly address: string;
  readonly request: LoadRequest;
  readonly connections: number;
  /** Of all connections together; whichever of the two comes first ends it. */
  readonly requests: number;
  readonly seconds: number;
}

export interface Loaded {
  /** Of every answer, in milliseconds. */
  readonly times: readonly number[];
  readonly perSecond: number;
  readonly failures: number;
  /** Processor time of the client for one request, milliseconds. */
  readonly clientTime: number;
}

/** A client in a process of its own: written in C where a compiler is there, else in JavaScript, which costs more and has no gRPC. */
export class LoadClient {
  readonly #folder: string;
  readonly #command: readonly [string, ...string[]];
  readonly isCompiled: boolean;
  #files = 0;

  private constructor(folder: string, program: string | undefined) {
    this.#folder = folder;
    this.isCompiled = program !== undefined;
    this.#command = program === undefined ? [process.execPath, path.join(PROJECT_ROOT, 'dist/test/bench/serve/raw-client.js')] : [program];
  }

  static async open(): Promise<LoadClient> {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-load-'));
    return new LoadClient(folder, compiled(folder));
  }

  takes({ protocol }: LoadRequest): boolean {
    return protocol === 'http1' || this.isCompiled;
  }

  async load({ address, request, connections, requests, seconds }: Load): Promise<Loaded> {
    const parts = request.protocol === 'http1' ? [request.bytes] : [request.headers, request.body];
    const files = parts.map((_, at) => path.join(this.#folder, `request-${(this.#files += 1)}-${at}`));
    await Promise.all(files.map((file, at) => writeFile(file, parts[at] ?? '')));
    const [program, ...own] = this.#command;
    const counts = [connections, requests, seconds].map(String);
    const child = spawn(program, [...own, address, ...counts, request.protocol, ...files], { stdio: ['ignore', 'pipe', 'inherit'] });
    const told: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => told.push(part));
    const code = z
      .tuple([z.int().nullable()])
      .rest(z.unknown())
      .parse(await once(child, 'close'))[0];
    await Promise.all(files.map((file) => rm(file)));
    if (code !== 0) throw new Error(`the load client ended with ${String(code)}`);
    return read(Buffer.concat(told));
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function read(told: Buffer): Loaded {
  const [elapsed, own, answers, failures] = [0, 8, 16, 24].map((at) => Number(told.readBigUInt64LE(at)));
  if (elapsed === undefined || own === undefined || answers === undefined || failures === undefined) throw new Error('no figures');
  const times = Array.from({ length: answers }, (_, at) => told.readUInt32LE(32 + 4 * at) / 1e6);
  return { times, perSecond: (answers * 1e9) / elapsed, failures, clientTime: own / 1e6 / answers };
}

function compiled(folder: string): string | undefined {
  const program = path.join(folder, 'load');
  try {
    execFileSync('cc', ['-O2', '-o', program, path.join(PROJECT_ROOT, 'test/bench/serve/load.c')], { stdio: ['ignore', 'ignore', 'pipe'] });
    return program;
  } catch {
    return undefined;
  }
}
