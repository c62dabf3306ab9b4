import { mkdir, readdir } from 'node:fs/promises';
import { asSkerryError, errnoOf, SkerryError } from './errors.js';

/** Makes a folder, and those above it, for its owner only; one that is there stays as it is. Throws `DISK_FULL` or `IO_FAILED`. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw asSkerryError(cause, 'IO_FAILED');
    // What Node tells of a refusal it does not know is that the folder is not there.
    const reason = 'the disk is read-only, or a link on the way leads nowhere';
    throw new SkerryError('IO_FAILED', `the folder ${folder} could not be created: ${reason}`, { cause });
  }
}

/**
 * Refuses a folder that holds other files and none of ours, so that data does not land among somebody's sources. Hidden files and the
 * `lost+found` of a mounted disk do not count. Throws `CONFIG_INVALID`.
 */
export async function requireOwnFolder(folder: string, ours: RegExp, what: string): Promise<void> {
  const names = await readdir(folder).catch((cause: unknown) => {
    if (errnoOf(cause) === 'ENOENT') return [];
    throw asSkerryError(cause, 'IO_FAILED');
  });
  const visible = names.filter((name) => !name.startsWith('.') && name !== 'lost+found');
  if (visible.length === 0 || visible.some((name) => ours.test(name))) return;
  const some = visible.slice(0, 3).join(', ');
  throw new SkerryError(
    'CONFIG_INVALID',
    `${folder} holds other files (${some} ...) and no data of ${what}; name an empty folder, or a new one`,
  );
}
