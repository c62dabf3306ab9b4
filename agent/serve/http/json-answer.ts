import type { SkerryError } from '#shared/kernel/errors.js';
import type { ShortAnswer } from './exchange.js';

export function jsonAnswer(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): ShortAnswer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: [JSON.stringify(value)] };
}

/**
 * An error as our own API has it, and where no API was found: the Open Inference Protocol's "Inference Response JSON Error Object", with our
 * code and advice beside its `error`.
 */
export function errorAnswer(error: SkerryError, headers: Readonly<Record<string, string>> = {}): ShortAnswer {
  const { message, code, fault, action, details } = error.toBody();
  return jsonAnswer({ error: message, code, fault, action, ...(details === undefined ? {} : { details }) }, error.http, headers);
}
