import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { Status } from '#shared/kernel/status.js';
import type { ShortAnswer } from '../../http/exchange.js';
import { jsonAnswer } from '../../http/json-answer.js';

/** Errors of a body that cannot be read, in MLflow's words; other mistakes of clients are INVALID_PARAMETER_VALUE. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set(['SERVE_BODY', 'SERVE_ENCODING', 'TENSOR_DATA', 'TENSOR_EMPTY', 'TENSOR_STRING']);

/** MLflow's error codes; `BAD_REQUEST` and these have its names. */
const CODES: Readonly<Partial<Record<Status, string>>> = {
  INVALID_ARGUMENT: 'INVALID_PARAMETER_VALUE',
  FAILED_PRECONDITION: 'INVALID_STATE',
  NOT_FOUND: 'RESOURCE_DOES_NOT_EXIST',
  PERMISSION_DENIED: 'PERMISSION_DENIED',
  UNAUTHENTICATED: 'CUSTOMER_UNAUTHORIZED',
  RESOURCE_EXHAUSTED: 'RESOURCE_LIMIT_EXCEEDED',
  UNAVAILABLE: 'TEMPORARILY_UNAVAILABLE',
  DEADLINE_EXCEEDED: 'DEADLINE_EXCEEDED',
  UNIMPLEMENTED: 'NOT_IMPLEMENTED',
};

/** An error as MLflow's scoring server tells it: a content type that it does not read in plain text, everything else as JSON. */
export function scoringError(error: SkerryError): ShortAnswer {
  if (error.code === 'SERVE_CONTENT_TYPE') {
    return { status: error.http, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: [error.message] };
  }
  const code = UNREADABLE.has(error.code) ? 'BAD_REQUEST' : (CODES[error.status] ?? 'INTERNAL_ERROR');
  const retry = error.http === 503 ? { 'retry-after': '1' } : {};
  return jsonAnswer({ error_code: code, message: error.message, error_class: error.code }, error.http, retry);
}
