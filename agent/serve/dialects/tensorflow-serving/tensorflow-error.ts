import type { SkerryError } from '#shared/kernel/errors.js';
import type { ShortAnswer } from '../../http/exchange.js';
import { jsonAnswer } from '../../http/json-answer.js';

/** An error as TensorFlow Serving tells it: its status is that of the gRPC code, where a failed precondition is a bad request. */
export function tensorflowError(error: SkerryError): ShortAnswer {
  const status = error.status === 'FAILED_PRECONDITION' ? 400 : error.http;
  return jsonAnswer({ error: error.message }, status, status === 503 ? { 'retry-after': '1' } : {});
}
