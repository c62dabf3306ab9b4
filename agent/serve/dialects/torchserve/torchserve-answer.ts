import { randomUUID } from 'node:crypto';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { ShortAnswer } from '../../http/exchange.js';

/** What every answer of TorchServe has: the id of its request, and that it must not be cached. */
export function answerHeaders(id: string = randomUUID()): Readonly<Record<string, string>> {
  return {
    'x-request-id': id,
    pragma: 'no-cache',
    'cache-control': 'no-cache; no-store, must-revalidate, private',
    expires: 'Thu, 01 Jan 1970 00:00:00 UTC',
  };
}

/** A document as TorchServe writes it. */
export function documentAnswer(document: unknown, status = 200): ShortAnswer {
  const headers = { 'content-type': 'application/json', ...answerHeaders() };
  return { status, headers, body: [`${JSON.stringify(document, undefined, 2)}\n`] };
}

export function statusAnswer(text: string, status = 200): ShortAnswer {
  return documentAnswer({ status: text }, status);
}

/** Errors that TorchServe has a status or a type of its own for. */
const ERRORS: Readonly<Partial<Record<ErrorCode, { readonly code?: number; readonly type?: string }>>> = {
  INFERENCE_MODEL_UNKNOWN: { type: 'ModelNotFoundException' },
  INFERENCE_VERSION_UNKNOWN: { type: 'ModelVersionNotFoundException' },
  INFERENCE_OUT_OF_MEMORY: { code: 507, type: 'InternalServerException' },
  SERVE_REPOSITORY_FIXED: { code: 405, type: 'MethodNotAllowedException' },
  SERVE_DEFAULT_VERSION: { code: 403, type: 'InvalidModelVersionException' },
};

const TYPES: Readonly<Record<number, string>> = {
  400: 'BadRequestException',
  401: 'InvalidKeyException',
  403: 'InvalidKeyException',
  404: 'ResourceNotFoundException',
  405: 'MethodNotAllowedException',
  409: 'ConflictStatusException',
  413: 'RequestEntityTooLargeException',
  429: 'ServiceUnavailableException',
  501: 'NotImplementedException',
  503: 'ServiceUnavailableException',
};

/** An error as TorchServe tells it. */
export function torchserveError(error: SkerryError): ShortAnswer {
  const own = ERRORS[error.code];
  const code = own?.code ?? error.http;
  const answer = documentAnswer({ code, type: own?.type ?? TYPES[code] ?? 'InternalServerException', message: error.message }, code);
  return code === 503 ? { ...answer, headers: { ...answer.headers, 'retry-after': '1' } } : answer;
}
