import { readFile, stat } from 'node:fs/promises';
import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { seconds } from '#shared/kernel/time.js';

const LOOK_EVERY = seconds(2);

interface WatchedFileDeps {
  readonly path: string;
  /** Takes its content; rejects to refuse it. */
  readonly take: (bytes: Uint8Array) => Promise<void> | void;
  /** Called when a changed file could not be taken, once for each change, and with nothing when one was. */
  readonly onChange: (problem: SkerryError | undefined) => void;
  readonly clock: Clock;
}

/**
 * A file that is read again when it changes. It is looked at again and again, because notifications miss the ways in which files are
 * replaced (renamed over, behind a symbolic link that moves).
 */
export class WatchedFile {
  readonly #deps: WatchedFileDeps;
  #seen: string | undefined;
  #cancel: () => void = () => undefined;
  #closed = false;

  constructor(deps: WatchedFileDeps) {
    this.#deps = deps;
  }

  /** Reads it for the first time and watches it from then on; rejects when it cannot be taken. */
  async open(): Promise<void> {
    this.#seen = await this.#mark();
    await this.#read();
    this.#lookLater();
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #lookLater(): void {
    if (this.#closed) return;
    this.#cancel = this.#deps.clock.schedule(LOOK_EVERY, () => void this.#look().finally(() => this.#lookLater()));
  }

  async #look(): Promise<void> {
    const mark = await this.#mark();
    if (mark === this.#seen) return;
    this.#seen = mark;
    try {
      await this.#read();
      this.#deps.onChange(undefined);
    } catch (cause) {
      this.#deps.onChange(asSkerryError(cause));
    }
  }

  async #read(): Promise<void> {
    const { path, take } = this.#deps;
    const bytes = await readFile(path).catch((cause: unknown) => {
      throw new SkerryError('SERVE_ACCESS_FILE', `${path} could not be read: ${asSkerryError(cause).message}`, { cause });
    });
    await take(bytes);
  }

  /** Changes whenever the file does. */
  async #mark(): Promise<string> {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(this.#deps.path, { bigint: true });
      return [ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (cause) {
      return asSkerryError(cause).message;
    }
  }
}
