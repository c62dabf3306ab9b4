import { SkerryError } from '#shared/kernel/errors.js';

/** The error of a file that holds no array that can be read. */
export function npyInvalid(what: string, reason: string, cause?: unknown): SkerryError {
  return new SkerryError('NPY_INVALID', `${what} cannot be read as an npy file: ${reason}`, { cause });
}
