import type { Logger as PinoLogger } from 'pino';
import type { Logger, LogLevel } from '#shared/kernel/logger.js';

interface LoggerOptions {
  readonly level: LogLevel;
  /** Name of the program, on every line. */
  readonly name: string;
  /** File descriptor written to (default 2, stderr). */
  readonly fd?: number;
}

/** Log lines kept in memory while they cannot be written. */
const MAX_PENDING_BYTES = 1024 * 1024;

/** A Logger that writes JSON lines through pino, which is loaded only here so that `--help` stays quick. */
export async function createPinoLogger(options: LoggerOptions): Promise<Logger> {
  const { pino } = await import('pino');
  const destination = pino.destination({ fd: options.fd ?? 2, sync: true, maxLength: MAX_PENDING_BYTES });
  // A log that cannot be written (a full disk, a closed pipe) must not end the program: lines wait up to the limit, then they are dropped.
  destination.on('error', () => undefined);
  return wrap(
    pino(
      {
        name: options.name,
        level: options.level,
        base: { pid: process.pid },
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
      },
      destination,
    ),
  );
}

function wrap(inner: PinoLogger): Logger {
  return {
    debug: (fields, message) => inner.debug(fields, message),
    info: (fields, message) => inner.info(fields, message),
    warn: (fields, message) => inner.warn(fields, message),
    error: (fields, message) => inner.error(fields, message),
    child: (fields) => wrap(inner.child(fields)),
  };
}
