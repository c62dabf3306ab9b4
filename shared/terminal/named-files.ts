import { stat } from 'node:fs/promises';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';

/**
 * Looks at the files a command line names before any work is done: one that is not there, or is a folder, is `CLI_USAGE`.
 * What else is wrong with them shows when they are read.
 */
export async function requireFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const found = await stat(path).catch((cause: unknown) => {
      const errno = errnoOf(cause);
      if (errno === 'ENOENT' || errno === 'ENOTDIR') throw new SkerryError('CLI_USAGE', `file not found: ${path}`, { cause });
      return undefined;
    });
    if (found?.isDirectory() === true) throw new SkerryError('CLI_USAGE', `${path} is a folder, where a file is wanted`);
  }
}
