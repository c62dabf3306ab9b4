import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Millis } from '#shared/kernel/time.js';
import type { GrpcTls } from '../config.js';

/** How often the files are read again. Certificates are renewed days before they expire. */
const REREAD_EVERY: Millis = 60_000;

interface TlsFilesDeps {
  readonly files: GrpcTls;
  readonly clock: Pick<Clock, 'schedule'>;
  readonly logger: Logger;
}

/** Contents of the files, as TLS takes them. */
export interface TlsContents {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

/** Certificate, key and CA of clients. They are read again while the server runs, so that a renewed certificate needs no restart. */
export class TlsFiles {
  readonly #deps: TlsFilesDeps;
  #read: TlsContents | undefined;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(deps: TlsFilesDeps) {
    this.#deps = deps;
  }

  /** Errors: `CONFIG_INVALID` where a file cannot be read, or they do not fit together. */
  async load(): Promise<TlsContents> {
    const { cert, key, clientCa } = this.#deps.files;
    try {
      const read: TlsContents = {
        cert: await readFile(cert),
        key: await readFile(key),
        ...(clientCa === undefined ? {} : { ca: await readFile(clientCa) }),
      };
      createSecureContext(read);
      this.#read = read;
      return read;
    } catch (cause) {
      const files = [cert, key, clientCa].filter((path) => path !== undefined).join(', ');
      throw new SkerryError('CONFIG_INVALID', `the TLS files of the gRPC port (${files}) cannot be used: ${asSkerryError(cause).message}`, {
        cause,
      });
    }
  }

  /** Calls `changed` when the files were replaced by others that fit together; others are logged, and those before stay in use. */
  watch(changed: (contents: TlsContents) => void): void {
    const { clock } = this.#deps;
    this.#cancel = clock.schedule(REREAD_EVERY, () => void this.#reread(changed));
  }

  async #reread(changed: (contents: TlsContents) => void): Promise<void> {
    const { logger } = this.#deps;
    const before = this.#read;
    try {
      const read = await this.load();
      if (before === undefined || !isSame(before, read)) {
        changed(read);
        logger.info({}, 'the TLS files of the gRPC port were replaced, and are used for new connections');
      }
    } catch (cause) {
      logger.warn({ cause }, asSkerryError(cause).message);
    }
    if (!this.#isClosed) this.watch(changed);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }
}

function isSame(one: TlsContents, other: TlsContents): boolean {
  return one.cert.equals(other.cert) && one.key.equals(other.key) && (one.ca ?? NONE).equals(other.ca ?? NONE);
}

const NONE = Buffer.alloc(0);
