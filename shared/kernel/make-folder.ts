import { mkdir } from 'node:fs/promises';
import { asSkerryError, errnoOf, SkerryError } from './errors.js';

/** Makes a folder, and those above it, for its owner only; one that is there stays as it is. Throws `DISK_FULL` or `IO_FAILED`. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw asSkerryError(cause, 'IO_FAILED');
    // What Node tells of a refusal it does not know is that the folder is not there.
    const reason = 'the disk is read-only, or a link on the way leads nowhere';
    throw new SkerryError('IO_FAILED', `the folder ${folder} could not be made: ${reason}`, { cause });
  }
}
