import type { LogFields, Logger, LogLevel } from '#shared/kernel/logger.js';

export interface LogLine {
  readonly level: LogLevel;
  readonly fields: LogFields;
  readonly message: string;
}

/** A logger that keeps what was logged. */
export function recordingLogger(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: LogLevel, base: LogFields) =>
    (fields: LogFields, message: string): void => {
      lines.push({ level, fields: { ...base, ...fields }, message });
    };
  const make = (base: LogFields): Logger => ({
    debug: at('debug', base),
    info: at('info', base),
    warn: at('warn', base),
    error: at('error', base),
    child: (fields) => make({ ...base, ...fields }),
  });
  return { logger: make({}), lines };
}
