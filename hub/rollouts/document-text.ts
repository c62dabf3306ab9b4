import { parseDocument } from 'yaml';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';

/**
 * The plain value a YAML (or JSON) text says; `ROLLOUT_INVALID` with the place when it is not YAML. Aliases are not expanded
 * beyond a few, so a small text stays small.
 */
export function parseYaml(text: string): unknown {
  if (Buffer.byteLength(text) > LIMITS.rolloutBytes) {
    throw new SkerryError('INPUT_TOO_LARGE', `the rollout has more than ${LIMITS.rolloutBytes} bytes`);
  }
  const document = parseDocument(text, { prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) throw new SkerryError('ROLLOUT_INVALID', `the rollout is not YAML: ${error.message}`, { cause: error });
  try {
    return document.toJS({ maxAliasCount: 16 });
  } catch (cause) {
    throw new SkerryError('ROLLOUT_INVALID', `the rollout is not YAML: ${asSkerryError(cause).message}`, { cause });
  }
}
