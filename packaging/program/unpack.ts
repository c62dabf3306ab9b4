import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import type { NativePart } from './native-manifest.js';

/** Read at once: more is no faster, and every thread would keep it. */
const PIECE = 256 * 1024;
/**
 * Written at once. The page cache of newer Linux holds a file in folios as large as it was written or read ahead, keeps a folio as long
 * as one page of it is used, and maps it whole (6.18): of a large library that is used here and there, that is most of it.
 */
const PAGE = 4096;
const MIB = 1024 * 1024;

/** Tells the system that what is read here is not the beginning of more (posix_fadvise(2)). */
export type Advise = (fd: number) => void;

/** SHA-256 of a file in hex, read in pieces so that it never lies in memory whole. Throws Node's own error (`ENOENT`, ...). */
export function hashFile(file: string, advise: Advise = () => undefined): string {
  const fd = openSync(file, 'r');
  try {
    advise(fd);
    const hash = createHash('sha256');
    const piece = Buffer.allocUnsafe(PIECE);
    for (let read = readSync(fd, piece); read > 0; read = readSync(fd, piece)) hash.update(piece.subarray(0, read));
    return hash.digest('hex');
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes sure that `folder` holds the part as the program was built with it, and returns its path. A file that is right is
 * only read. One that is missing or damaged is written beside it, synced and renamed into place: whatever moment the power
 * goes or a second process does the same, the name leads to nothing or to the whole file. Blocks the calling thread.
 */
export function unpackPart(folder: string, part: NativePart, content: () => Uint8Array, advise?: Advise): string {
  const file = path.join(folder, part.name);
  if (ifPossible(() => hashFile(file, advise)) === part.sha256) return file;
  const bytes = content();
  if (createHash('sha256').update(bytes).digest('hex') !== part.sha256) {
    throw new SkerryError('NATIVE_DAMAGED', `${part.name} inside ${process.execPath} is damaged`);
  }
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeWhole(temporary, bytes);
    renameSync(temporary, file);
    syncFolderNow(folder);
  } catch (cause) {
    ifPossible(() => rmSync(temporary, { force: true }));
    // Another process was first, and took this one's for a leftover.
    if (ifPossible(() => hashFile(file, advise)) === part.sha256) return file;
    throw unwritable(cause, part, folder);
  }
  if (ifPossible(() => hashFile(file, advise)) !== part.sha256) {
    throw new SkerryError('NATIVE_DAMAGED', `${file} reads back differently from what was written`);
  }
  removeLeftovers(folder, part);
  return file;
}

/** What those left who were killed while they wrote: nobody needs theirs once the part is there. */
function removeLeftovers(folder: string, part: NativePart): void {
  const left = (ifPossible(() => readdirSync(folder)) ?? []).filter((name) => name.startsWith(`${part.name}.`) && name.endsWith('.tmp'));
  for (const name of left) ifPossible(() => rmSync(path.join(folder, name), { force: true }));
}

/**
 * Removes what programs unpacked below `home`, except folders in `keep`; one that still runs from there unpacks again when it
 * must. What cannot be removed (a disk that became read-only) stays and harms nobody.
 */
export function sweepOthers(home: string, keep: ReadonlySet<string>): void {
  for (const name of ifPossible(() => readdirSync(home)) ?? []) {
    if (!keep.has(name) && /^[0-9a-f]{64}$/.test(name)) ifPossible(() => rmSync(path.join(home, name), { recursive: true, force: true }));
  }
}

/** What `act` gives, or `undefined` when it fails: a file that cannot be read counts as damaged, and writing it anew tells why. */
function ifPossible<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}

function writeWhole(file: string, bytes: Uint8Array): void {
  const fd = openSync(file, 'wx', 0o500);
  try {
    for (let at = 0; at < bytes.byteLength; ) at += writeSync(fd, bytes, at, Math.min(PAGE, bytes.byteLength - at));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function syncFolderNow(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } catch (cause) {
    // As in shared/kernel/atomic-file.ts: where a folder cannot be synced, the rename is all there is.
    if (!['EINVAL', 'EPERM', 'ENOTSUP'].includes(errnoOf(cause) ?? '')) throw cause;
  } finally {
    closeSync(fd);
  }
}

function unwritable(cause: unknown, part: NativePart, folder: string): SkerryError {
  const error = asSkerryError(cause, 'IO_FAILED');
  const sentence = `${part.name} (${Math.ceil(part.size / MIB)} MiB) could not be unpacked into ${folder}: ${error.message}`;
  return new SkerryError(error.code === 'DISK_FULL' ? 'DISK_FULL' : 'NATIVE_UNWRITABLE', sentence, { cause });
}
