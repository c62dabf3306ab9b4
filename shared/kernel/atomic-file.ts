import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asSkerryError, errnoOf } from './errors.js';

/** The calls durable writing needs; tests replace them to cut the power at each one. */
export interface DurableFs {
  readonly open: typeof open;
  readonly rename: typeof rename;
  readonly rm: typeof rm;
}

export const nodeDurableFs: DurableFs = { open, rename, rm };

interface AtomicWriteOptions {
  /** Permission bits of the new file (default 0o644); use 0o600 for secrets. */
  readonly mode?: number;
  readonly fs?: DurableFs;
  /** Called with the temporary file before it gets its name, to give it to somebody. */
  readonly ready?: (temporary: string) => Promise<void>;
}

/**
 * Replaces `path` with `data` so that after a power cut the old or the new content is there, whole: temporary file in the
 * same folder, fsync, rename, fsync of the folder. Throws `DISK_FULL` or `IO_FAILED`; the temporary file is removed then.
 */
export async function writeFileAtomic(path: string, data: Uint8Array | string, options: AtomicWriteOptions = {}): Promise<void> {
  const fs = options.fs ?? nodeDurableFs;
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeFileSynced(temporary, data, options);
    await options.ready?.(temporary);
    await fs.rename(temporary, path);
    await syncFolder(dirname(path), fs);
  } catch (cause) {
    await fs.rm(temporary, { force: true }).catch(() => undefined);
    throw asSkerryError(cause, 'IO_FAILED');
  }
}

/** Creates `path` (which must not exist) with `data` and waits until the content is on the disk; its folder entry is not synced. */
export async function writeFileSynced(path: string, data: Uint8Array | string, options: AtomicWriteOptions = {}): Promise<void> {
  const file = await (options.fs ?? nodeDurableFs).open(path, 'wx', options.mode ?? 0o644);
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes renames, creations and removals inside `folder` survive a power cut. */
export async function syncFolder(folder: string, fs: DurableFs = nodeDurableFs): Promise<void> {
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } catch (cause) {
    // Some file systems (and Windows) cannot sync a folder; there the rename itself is all the durability on offer.
    const code = errnoOf(cause);
    if (code !== 'EINVAL' && code !== 'EPERM' && code !== 'ENOTSUP') throw cause;
  } finally {
    await handle.close();
  }
}
