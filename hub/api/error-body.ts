import { hasZodFastifySchemaValidationErrors, isResponseSerializationError } from 'fastify-type-provider-zod';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';

/** Whatever reached the server's edge as an error of ours; Fastify's own ones about the request keep their status class. */
export function toApiError(thrown: unknown): SkerryError {
  if (thrown instanceof SkerryError) return thrown;
  if (isResponseSerializationError(thrown)) {
    return new SkerryError('INTERNAL', `the answer of ${thrown.method} ${thrown.url} does not fit its schema`, { cause: thrown });
  }
  if (hasZodFastifySchemaValidationErrors(thrown)) return new SkerryError('INPUT_SCHEMA', thrown.message, { cause: thrown });
  const code = errnoOf(thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new SkerryError('INPUT_TOO_LARGE', message, { cause: thrown });
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new SkerryError(
      'API_BAD_REQUEST',
      'the body has a content type this path does not read; it is application/json unless the OpenAPI document says otherwise',
      { cause: thrown },
    );
  }
  if (code?.startsWith('FST_ERR_CTP_') === true || code === 'FST_ERR_MAX_PARAM_LENGTH' || statusOf(thrown) === 400) {
    return new SkerryError('API_BAD_REQUEST', message, { cause: thrown });
  }
  if (code?.startsWith('SQLITE_') === true && code !== 'SQLITE_FULL') {
    return new SkerryError('HUB_DATABASE_FAILED', message, { cause: thrown });
  }
  return asSkerryError(thrown);
}

function statusOf(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('statusCode' in thrown)) return undefined;
  return typeof thrown.statusCode === 'number' ? thrown.statusCode : undefined;
}
