import { dirname, resolve } from 'node:path';
import { type Clock, timeoutSignal } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { hours, type Millis, minutes, seconds } from '#shared/kernel/time.js';
import { WatchedFile } from '../watched-file.js';
import { KEY_SET_BYTES, parseKeySet, type TokenKey } from './key-set.js';

const REFRESH_EVERY = minutes(10);
/** Least time between fetches that tokens with unknown keys cause. */
const ASKED_AGAIN = seconds(30);
const FETCH_TIMEOUT = seconds(5);
/** Keys that could not be confirmed for this long are no longer believed: one of them may have been withdrawn. */
const STALE_AFTER = hours(24);

/** Where the keys of tokens come from. */
export interface KeySource {
  /** The keys as they are known; `SERVE_ACCESS_UNAVAILABLE` when none are, or they are too old to be believed. */
  keys(): readonly TokenKey[];
  /** A token names a key that is not known: asks for newer keys, though not too often. */
  renew(): Promise<void>;
  close(): void;
}

interface KeySourceDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when the keys are others than before. */
  readonly onKeys: () => void;
}

/** `where` is a URL, or a file relative to the access file. Errors: `SERVE_ACCESS_FILE` where it can never work. */
export async function openKeySource(where: string, accessFile: string, deps: KeySourceDeps): Promise<KeySource> {
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(where)) return FileKeys.open(resolve(dirname(accessFile), where), deps);
  const url = URL.canParse(where) ? new URL(where) : undefined;
  // Whoever can change the keys on their way can make tokens.
  const secure = url?.protocol === 'https:' || (url?.protocol === 'http:' && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname));
  if (url === undefined || !secure)
    throw new SkerryError('SERVE_ACCESS_FILE', `the keys of tokens must come from a file or an https URL, not ${where}`);
  return UrlKeys.open(url, deps);
}

class FileKeys implements KeySource {
  readonly #file: WatchedFile;
  #keys: readonly TokenKey[] = [];

  private constructor(path: string, { clock, logger, onKeys }: KeySourceDeps) {
    this.#file = new WatchedFile({
      path,
      clock,
      take: (bytes) => {
        this.#keys = parseKeySet(bytes, path);
      },
      onChange: (problem) => {
        if (problem === undefined) onKeys();
        else logger.error({ path, code: problem.code, reason: problem.message }, 'the new key set of tokens is refused; the old one stays');
      },
    });
  }

  static async open(path: string, deps: KeySourceDeps): Promise<FileKeys> {
    const keys = new FileKeys(path, deps);
    await keys.#file.open();
    return keys;
  }

  keys(): readonly TokenKey[] {
    return this.#keys;
  }

  renew(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#file.close();
  }
}

class UrlKeys implements KeySource {
  readonly #url: URL;
  readonly #deps: KeySourceDeps;
  #keys: readonly TokenKey[] | undefined;
  #fetched: Millis = 0;
  #asked: Millis = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;
  #cancel: () => void = () => undefined;
  #closed = false;

  private constructor(url: URL, deps: KeySourceDeps) {
    this.#url = url;
    this.#deps = deps;
  }

  /** Does not wait for the issuer: a device starts to serve without a network (R2). */
  static open(url: URL, deps: KeySourceDeps): UrlKeys {
    const keys = new UrlKeys(url, deps);
    void keys.#fetch().finally(() => keys.#refreshLater());
    return keys;
  }

  keys(): readonly TokenKey[] {
    const age = this.#deps.clock.monotonic() - this.#fetched;
    if (this.#keys !== undefined && age <= STALE_AFTER) return this.#keys;
    const why = this.#keys === undefined ? 'could not be fetched yet' : 'could not be fetched for a day';
    throw new SkerryError('SERVE_ACCESS_UNAVAILABLE', `tokens cannot be verified: their keys ${why}`);
  }

  renew(): Promise<void> {
    const allowed = this.#deps.clock.monotonic() - this.#asked >= ASKED_AGAIN;
    return this.#fetching ?? (allowed ? this.#fetch() : Promise.resolve());
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #refreshLater(): void {
    if (this.#closed) return;
    this.#cancel = this.#deps.clock.schedule(REFRESH_EVERY, () => void this.#fetch().finally(() => this.#refreshLater()));
  }

  /** Does not reject. */
  #fetch(): Promise<void> {
    const { clock, logger, onKeys } = this.#deps;
    this.#asked = clock.monotonic();
    const fetching = async (): Promise<void> => {
      try {
        this.#keys = parseKeySet(await fetchKeySet(this.#url, clock), `the key set of ${this.#url.href}`);
        this.#fetched = clock.monotonic();
        onKeys();
      } catch (cause) {
        const { code, message } = asSkerryError(cause);
        logger.warn({ url: this.#url.href, code, reason: message }, 'the keys of tokens could not be fetched');
      } finally {
        this.#fetching = undefined;
      }
    };
    this.#fetching = fetching();
    return this.#fetching;
  }
}

async function fetchKeySet(url: URL, clock: Clock): Promise<Uint8Array> {
  const { signal, cancel } = timeoutSignal(clock, FETCH_TIMEOUT);
  try {
    const response = await fetch(url, { signal, redirect: 'error', headers: { accept: 'application/jwk-set+json, application/json' } });
    if (!response.ok || response.body === null) throw new SkerryError('SERVE_ACCESS_UNAVAILABLE', `${url.href} answers ${response.status}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    const body: AsyncIterable<Uint8Array> = response.body;
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (size > KEY_SET_BYTES) throw new SkerryError('SERVE_ACCESS_UNAVAILABLE', `${url.href} sends more than ${KEY_SET_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    cancel();
  }
}
