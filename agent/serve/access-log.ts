import { appendFile } from 'node:fs/promises';
import { write } from 'node:fs';
import { promisify } from 'node:util';
import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type Millis, seconds } from '#shared/kernel/time.js';

const EVERY: Millis = seconds(1);
/** Lines are written before they are due when they have as many characters. */
const FLUSH_AT = 64 * 1024;
/** Characters that wait to be written; beyond it lines are dropped and counted. */
const MAX_PENDING = 4 * 1024 * 1024;

/** One line: a request that was answered or refused. */
export interface AccessLine {
  readonly transport: string;
  readonly address: string | undefined;
  readonly client: string;
  readonly api: string;
  readonly call: string;
  readonly request: string;
  readonly model: string | undefined;
  readonly status: string;
  readonly code: string | undefined;
  readonly millis: Millis;
  readonly trace: string | undefined;
}

interface AccessLogDeps {
  /** Appends text to where the log is. */
  readonly append: (text: string) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A log with a JSON line for each request, written behind the requests. */
export class AccessLog {
  readonly #deps: AccessLogDeps;
  #lines: string[] = [];
  #pending = 0;
  #dropped = 0;
  #hasFailed = false;
  #writing: Promise<void> | undefined;
  #cancel: (() => void) | undefined;

  constructor(deps: AccessLogDeps) {
    this.#deps = deps;
  }

  get dropped(): number {
    return this.#dropped;
  }

  add(line: AccessLine): void {
    if (this.#pending >= MAX_PENDING) {
      this.#dropped += 1;
      return;
    }
    const { clock } = this.#deps;
    const text = `${JSON.stringify({ time: new Date(clock.now()).toISOString(), ...line, millis: Math.round(line.millis * 1_000) / 1_000 })}\n`;
    this.#lines.push(text);
    this.#pending += text.length;
    if (this.#pending >= FLUSH_AT) this.#flush();
    else this.#cancel ??= clock.schedule(EVERY, () => this.#flush());
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#flush();
    await this.#writing;
  }

  #flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#writing !== undefined || this.#lines.length === 0) return;
    this.#writing = this.#write(this.#lines);
  }

  /** Does not reject: lines that cannot be written are dropped, since a full disk must not fill the memory as well (R4). */
  async #write(lines: readonly string[]): Promise<void> {
    const text = lines.join('');
    this.#lines = [];
    try {
      await this.#deps.append(text);
      this.#hasFailed = false;
    } catch (cause) {
      this.#dropped += lines.length;
      if (!this.#hasFailed) this.#deps.logger.warn({ reason: asSkerryError(cause).message }, 'the access log could not be written');
      this.#hasFailed = true;
    }
    this.#pending -= text.length;
    this.#writing = undefined;
    if (this.#pending > 0) this.#cancel ??= this.#deps.clock.schedule(EVERY, () => this.#flush());
  }
}

/** Appends to a file that is opened anew each time, so that it may be moved away to rotate it. */
export function appendTo(path: string): AccessLogDeps['append'] {
  return (text) => appendFile(path, text, { mode: 0o640 });
}

const writeSome = promisify(write);

/** Writes to the standard output without waiting for it on the event loop. */
export async function appendToStdout(text: string): Promise<void> {
  const bytes = Buffer.from(text);
  let offset = 0;
  while (offset < bytes.length) offset += (await writeSome(1, bytes, offset)).bytesWritten;
}
