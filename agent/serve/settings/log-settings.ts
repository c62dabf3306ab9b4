import type { LogFields, Logger } from '#shared/kernel/logger.js';

/** What clients may read, and set, of the lines that the local API logs. */
export interface LogSettings {
  readonly info: boolean;
  readonly warning: boolean;
  readonly error: boolean;
  /** From 1 on, lines of the level `debug` (one for every request) are logged as `info`, so that they show without a restart. */
  readonly verboseLevel: number;
  /** How clients want times written; lines of the agent are JSON, whose times have one form. */
  readonly format: 'default' | 'ISO8601';
}

/** The log of the local API: passes on the lines that the settings let pass. */
export class ServeLog implements Logger {
  readonly #target: Logger;
  readonly #held: { settings: LogSettings };

  private constructor(target: Logger, held: { settings: LogSettings }) {
    this.#target = target;
    this.#held = held;
  }

  static over(target: Logger): ServeLog {
    return new ServeLog(target, { settings: { info: true, warning: true, error: true, verboseLevel: 0, format: 'default' } });
  }

  get settings(): LogSettings {
    return this.#held.settings;
  }

  change(changes: Partial<LogSettings>): LogSettings {
    this.#held.settings = { ...this.#held.settings, ...changes };
    return this.#held.settings;
  }

  debug(fields: LogFields, message: string): void {
    if (this.settings.verboseLevel > 0) this.#target.info(fields, message);
    else this.#target.debug(fields, message);
  }

  info(fields: LogFields, message: string): void {
    if (this.settings.info) this.#target.info(fields, message);
  }

  warn(fields: LogFields, message: string): void {
    if (this.settings.warning) this.#target.warn(fields, message);
  }

  error(fields: LogFields, message: string): void {
    if (this.settings.error) this.#target.error(fields, message);
  }

  child(fields: LogFields): ServeLog {
    return new ServeLog(this.#target.child(fields), this.#held);
  }
}
