import { accessSync, constants } from 'node:fs';
import { errnoOf } from '#shared/kernel/errors.js';

/** True when the file system takes no writes at all, as one that the kernel remounted after an error. */
export function isReadOnly(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return false;
  } catch (cause) {
    return errnoOf(cause) === 'EROFS';
  }
}
