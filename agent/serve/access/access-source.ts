import { resolve } from 'node:path';
import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type AccessRules, parseAccessFile } from './access-file.js';
import { Authenticator } from './authenticator.js';
import { type KeySource, openKeySource } from './tokens/key-source.js';
import { WatchedFile } from './watched-file.js';

interface SourceDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What the status tells of an access file. */
export interface AccessFileStatus {
  readonly file: string;
  readonly keys: number;
  readonly readAt: string;
  /** Why the file as it is now is not in force; the one read before is. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** An access file in force. A changed file takes its place as a whole; one that is not valid leaves it and is reported. */
export class AccessSource {
  readonly #path: string;
  readonly #deps: SourceDeps;
  readonly #file: WatchedFile;
  #authenticator: Authenticator | undefined;
  #keys: KeySource | undefined;
  #count = 0;
  #readAt = '';
  #problem: SkerryError | undefined;

  private constructor(path: string, deps: SourceDeps) {
    this.#path = resolve(path);
    this.#deps = deps;
    this.#file = new WatchedFile({
      path: this.#path,
      clock: deps.clock,
      take: async (bytes) => this.#put(await parseAccessFile(Buffer.from(bytes).toString('utf8'), this.#path)),
      onChange: (problem) => this.#changed(problem),
    });
  }

  /** Errors: `SERVE_ACCESS_FILE`. */
  static async open(path: string, deps: SourceDeps): Promise<AccessSource> {
    const source = new AccessSource(path, deps);
    await source.#file.open();
    return source;
  }

  get authenticator(): Authenticator {
    if (this.#authenticator === undefined) throw new SkerryError('SERVE_ACCESS_UNAVAILABLE', 'no access file was read yet');
    return this.#authenticator;
  }

  get status(): AccessFileStatus {
    const error = this.#problem === undefined ? {} : { error: { code: this.#problem.code, message: this.#problem.message } };
    return { file: this.#path, keys: this.#count, readAt: this.#readAt, ...error };
  }

  async close(): Promise<void> {
    this.#file.close();
    this.#keys?.close();
  }

  async #put(rules: AccessRules): Promise<void> {
    const { clock, logger } = this.#deps;
    let authenticator: Authenticator | undefined;
    const onKeys = (): void => authenticator?.forgetTokens();
    const keys = rules.tokens === undefined ? undefined : await openKeySource(rules.tokens.jwks, this.#path, { clock, logger, onKeys });
    authenticator = new Authenticator({ rules, keys, clock, logger });
    this.#keys?.close();
    this.#keys = keys;
    this.#authenticator = authenticator;
    this.#count = rules.keys.size;
    this.#readAt = new Date(clock.now()).toISOString();
  }

  #changed(problem: SkerryError | undefined): void {
    this.#problem = problem;
    const { logger } = this.#deps;
    if (problem === undefined) logger.info({ file: this.#path, keys: this.#count }, 'the changed access file is in force');
    else
      logger.error(
        { file: this.#path, code: problem.code, reason: problem.message },
        'the changed access file is refused; the old one stays in force',
      );
  }
}
