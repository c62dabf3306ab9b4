import type { CodeEntry } from './codes/define.js';
import { ERROR_CODES, type ErrorCode, isErrorCode } from './error-registry.js';
import { httpStatusOf, type Status } from './status.js';

export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The form an error takes on the wire (HTTP bodies, MQTT events, CLI `--json`). */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly fault: string;
  readonly action: string;
  readonly details?: ErrorDetails;
}

/** The one error class of the project: a closed code, a sentence for this case, the cause, and details for machines. */
export class SkerryError extends Error {
  override readonly name = 'SkerryError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details;
  }

  get entry(): CodeEntry {
    return ERROR_CODES[this.code];
  }

  /** What it is in words of no protocol. */
  get status(): Status {
    return this.entry.status;
  }

  get http(): number {
    return httpStatusOf(this.entry);
  }

  toBody(): ErrorBody {
    const { fault, action } = this.entry;
    const body = { code: this.code, message: this.message, fault, action };
    return this.details === undefined ? body : { ...body, details: this.details };
  }
}

/** Of the system and of SQLite, whose shared memory of the write-ahead log needs room as well. */
const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE']);

/** Wraps whatever was thrown as a SkerryError, keeping one that already is. */
export function asSkerryError(thrown: unknown, fallback: ErrorCode = 'INTERNAL'): SkerryError {
  if (thrown instanceof SkerryError) return thrown;
  const systemCode = errnoOf(thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (systemCode !== undefined && NO_ROOM.has(systemCode)) {
    return new SkerryError('DISK_FULL', message, { cause: thrown });
  }
  return new SkerryError(fallback, message, { cause: thrown });
}

/**
 * Rebuilds an error that crossed a thread or a wire as its body. A code that only a later release knows becomes `PEER_ERROR`,
 * which keeps its name and advice.
 */
export function fromErrorBody(
  body: Pick<ErrorBody, 'code' | 'message' | 'details'> & { readonly action?: string | undefined },
): SkerryError {
  if (isErrorCode(body.code)) {
    return new SkerryError(body.code, body.message, body.details === undefined ? {} : { details: body.details });
  }
  const advice = body.action === undefined ? '' : ` ${body.action}`;
  return new SkerryError('PEER_ERROR', `${body.code}: ${body.message}${advice}`, { details: { ...body.details, code: body.code } });
}

/** True when `thrown` is a SkerryError with this code. */
export function hasCode(thrown: unknown, code: ErrorCode): thrown is SkerryError {
  return thrown instanceof SkerryError && thrown.code === code;
}

/** The `code` of a Node or SQLite error (`ENOENT`, `SQLITE_FULL`), if it has one. */
export function errnoOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
