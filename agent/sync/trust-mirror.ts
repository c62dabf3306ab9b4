import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { type TrustIndex, trustIndexSchema } from '#shared/protocol/messages.js';

/** Last level of the topic that carries the index. */
export const TRUST_INDEX_FILE = 'index';
const MIRROR_BYTES = 64 * 1024 * 1024;
const INDEX_BYTES = LIMITS.trustFiles * 240;

/** Files by name: all that the newest index lists, and what has arrived of the next change. */
export type MirroredFiles = ReadonlyMap<string, Uint8Array>;

/** The files here, and what is still missing of those that the index lists. */
interface MirrorContent {
  readonly files: MirroredFiles;
  readonly missing: SkerryError | undefined;
}

interface Waiter {
  readonly resolve: (content: MirrorContent) => void;
  readonly cancel: () => void;
}

/** What the retained `trust/+` topics hold, in memory. Nothing in it is trusted; it only stands in for a download server. */
export class TrustMirror {
  readonly #clock: Clock;
  readonly #files = new Map<string, Uint8Array>();
  readonly #waiters = new Set<Waiter>();
  #index: TrustIndex | undefined;
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Takes in a message of a trust topic; empty bytes take the file away (a cleared retained message). Throws `INPUT_SCHEMA` or
   * `INPUT_TOO_LARGE` and ignores the message then.
   */
  put(file: string, bytes: Uint8Array): void {
    if (file === TRUST_INDEX_FILE) this.#putIndex(bytes);
    else this.#putFile(file, bytes);
    const files = this.#completeFiles();
    if (files === undefined) return;
    for (const waiter of this.#waiters) {
      waiter.cancel();
      waiter.resolve({ files, missing: undefined });
    }
    this.#waiters.clear();
  }

  /** Forgets everything; call when a session begins, before its retained messages arrive in whatever order. */
  clear(): void {
    this.#files.clear();
    this.#bytes = 0;
    this.#index = undefined;
  }

  /**
   * Resolves with the files here once all that the index lists are among them; after `deadline` with those that came, and an
   * error that says what is missing: one file held back must not hold back the rest. `TRUST_MIRROR_INCOMPLETE` without an index.
   */
  complete(deadline: Millis): Promise<MirrorContent> {
    const files = this.#completeFiles();
    if (files !== undefined) return Promise.resolve({ files, missing: undefined });
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.schedule(deadline, () => {
        this.#waiters.delete(waiter);
        if (this.#index === undefined) reject(this.#incomplete());
        else resolve({ files: new Map(this.#files), missing: this.#incomplete() });
      });
      const waiter: Waiter = { resolve, cancel };
      this.#waiters.add(waiter);
    });
  }

  #putIndex(bytes: Uint8Array): void {
    this.#index = bytes.byteLength === 0 ? undefined : parseJson(trustIndexSchema, bytes, { what: 'trust index', maxBytes: INDEX_BYTES });
    const listed = new Set(this.#index?.files);
    for (const name of this.#files.keys()) if (!listed.has(name)) this.#drop(name);
  }

  #putFile(file: string, bytes: Uint8Array): void {
    if (!/^[a-z0-9._-]{1,224}\.json$/.test(file)) throw new SkerryError('INPUT_SCHEMA', 'not the name of a trust file');
    const before = this.#files.get(file)?.byteLength ?? 0;
    const total = this.#bytes - before + bytes.byteLength;
    if (bytes.byteLength > LIMITS.trustFileBytes || total > MIRROR_BYTES || this.#files.size >= 2 * LIMITS.trustFiles) {
      throw new SkerryError('INPUT_TOO_LARGE', `trust file ${file} is too large: ${bytes.byteLength} bytes`);
    }
    this.#drop(file);
    if (bytes.byteLength === 0) return;
    this.#files.set(file, bytes);
    this.#bytes = total;
  }

  #drop(file: string): void {
    this.#bytes -= this.#files.get(file)?.byteLength ?? 0;
    this.#files.delete(file);
  }

  #completeFiles(): MirroredFiles | undefined {
    if (this.#index === undefined) return undefined;
    // More than the index lists may be here: files of the next change come before its index, and are signed as well.
    return this.#index.files.every((name) => this.#files.has(name)) ? new Map(this.#files) : undefined;
  }

  #incomplete(): SkerryError {
    if (this.#index === undefined) return new SkerryError('TRUST_MIRROR_INCOMPLETE', 'no index of the trust files has arrived');
    const missing = this.#index.files.filter((name) => !this.#files.has(name));
    return new SkerryError('TRUST_MIRROR_INCOMPLETE', `${missing.length} of ${this.#index.files.length} trust files have not arrived`, {
      details: { missing: missing.slice(0, 16) },
    });
  }
}
