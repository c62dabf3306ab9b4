import { randomBytes } from 'node:crypto';
import { chmod, copyFile, link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { digestFile } from '#shared/bundle/digest.js';
import type { Digest } from '#shared/bundle/names.js';
import { syncFolder } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import type { BlobFolder } from './blob-folder.js';

/** `BlobStore.place`: a second name for the file where the file system has them, else a copy; synced, then renamed into place. */
export async function placeBlob(blobs: BlobFolder, digest: Digest, path: string, mode: number): Promise<void> {
  if (!(await blobs.has(digest))) throw new SkerryError('STORE_BLOB_MISSING', `${digest} is not in the model cache`);
  if (!(await blobs.verify(digest))) throw new SkerryError('STORE_BLOB_CORRUPT', `${digest} was damaged on the disk and is deleted`);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await linkOrCopy(blobs.path(digest), temporary);
    await chmod(temporary, mode);
    const file = await open(temporary, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw asSkerryError(cause, 'IO_FAILED');
  }
}

/** `BlobStore.digestAt`. */
export async function digestAt(path: string): Promise<Digest | undefined> {
  try {
    return (await digestFile(path)).digest;
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw asSkerryError(cause, 'IO_FAILED');
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (cause) {
    if (!['EPERM', 'EXDEV', 'ENOTSUP', 'EMLINK', 'ENOSYS'].includes(errnoOf(cause) ?? '')) throw cause;
    await copyFile(from, to);
  }
}
