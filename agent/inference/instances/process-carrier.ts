import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { nativePartsHome } from '#shared/kernel/native-parts.js';
import { startRunner } from '#shared/kernel/runner-start.js';
import type { Carrier, CarrierEnd } from './carrier.js';
import { encodeFrame, FrameReader, narrow } from './frames.js';
import { type FromInstance, isFromInstance, type ToInstance } from './instance-protocol.js';

/** What is kept of what a process said last; the engine prints some stacks after its reason. */
const KEPT_CHARACTERS = 16 * 1024;
const HEAP_FULL = 'JavaScript heap out of memory';

/** Starts a process for one instance: this program again, as `instance-runner`. */
export function startProcess(): Carrier {
  return carryBy(startRunner('instance-runner', new URL('./instance-runner.js', import.meta.url), [nativePartsHome() ?? '']));
}

/** A carrier over a process that was started with `runnerOptions`. */
export function carryBy(child: ChildProcess): Carrier {
  return new ProcessCarrier(child);
}

class ProcessCarrier implements Carrier {
  readonly kind = 'process';
  readonly #child: ChildProcess;
  readonly #socket: Socket | undefined;
  #said = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    // The fourth of its standard streams is a socket in both directions; there is none when the process could not be started.
    const [, , , messages] = child.stdio;
    this.#socket = messages instanceof Socket ? messages : undefined;
    child.stderr?.on('data', (chunk: Uint8Array) => {
      process.stderr.write(chunk);
      this.#said = (this.#said + Buffer.from(chunk).toString('latin1')).slice(-KEPT_CHARACTERS);
    });
    // Where writing fails the process is gone, or about to be: its end says so.
    this.#socket?.on('error', () => undefined);
  }

  post(message: ToInstance, _move: readonly ArrayBuffer[]): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return;
    socket.cork();
    for (const part of encodeFrame(message)) socket.write(part);
    socket.uncork();
  }

  listen(onMessage: (message: FromInstance) => void, onEnd: (end: CarrierEnd) => void): void {
    let over = false;
    const end = (how: CarrierEnd): void => {
      if (over) return;
      over = true;
      onEnd(how);
    };
    const reader = new FrameReader((message) => onMessage(narrow(message, isFromInstance)));
    this.#socket?.on('data', (chunk: Uint8Array) => {
      try {
        reader.push(chunk);
      } catch (cause) {
        this.abandon();
        end({ how: 'an answer that cannot be read', cause });
      }
    });
    this.#child.once('error', (cause) => {
      if (this.#child.pid === undefined) end({ how: `it could not be started: ${cause.message}`, notStarted: true, cause });
    });
    // After its last answer was read.
    this.#child.once('close', (code, signal) => {
      const heapFull = this.#said.includes(HEAP_FULL) ? { heapFull: true } : {};
      end(signal === null ? { how: `exit code ${code}`, code: code ?? 0, ...heapFull } : { how: `signal ${signal}`, signal, ...heapFull });
    });
  }

  abandon(): void {
    this.#child.kill('SIGKILL');
  }

  residentBytes(): Promise<number | undefined> {
    return this.#sumOf('status', ['VmRSS']);
  }

  /** Pages of files are left out: the kernel drops them when memory is short, and most are those of every other process here. */
  ownBytes(): Promise<number | undefined> {
    return this.#sumOf('smaps_rollup', ['Private_Dirty', 'SwapPss']);
  }

  /** Fields of a file of the process in /proc, added up; `undefined` when the system has no such file. */
  async #sumOf(file: string, fields: readonly string[]): Promise<number | undefined> {
    const { pid } = this.#child;
    if (pid === undefined) return undefined;
    const text = await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
    const found = fields.flatMap((field) => new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? []);
    return found.length === 0 ? undefined : found.reduce((sum, kib) => sum + Number(kib) * 1024, 0);
  }
}
