import { readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { z } from 'zod';
import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import type { PublisherFolder } from './trust-folder.js';

const LOCK = 'lock';
const HOLDER = 'lock.json';
const POLL: Millis = 200;
const NFS = 0x6969;

/** Who holds the lock; written beside it for others to read, and never relied on. */
const holderSchema = z.object({ pid: z.int(), host: z.string(), command: z.string(), since: z.iso.datetime() });
type LockHolder = z.infer<typeof holderSchema>;

interface LockOptions {
  readonly folder: PublisherFolder;
  readonly clock: Clock;
  /** What is done with the folder, for those who wait. */
  readonly command: string;
  /** How long to wait for another command (default 30 minutes: the hub checks gigabytes before it answers). */
  readonly patience?: Millis;
  /** Told once, before the wait begins. */
  readonly onWait?: (text: string) => void;
}

/**
 * Runs `use` while nobody else changes the folder. The lock is the operating system's, on the file `lock` (through SQLite,
 * which Node has no call of its own for): it ends with the process that holds it, however that ends. Throws
 * `TRUST_FOLDER_BUSY`, which names the holder, when it does not come free in time.
 */
export async function withFolderLock<T>(options: LockOptions, use: () => Promise<T>): Promise<T> {
  const { folder, clock, command } = options;
  await folder.create();
  const release = await acquire(options);
  const holder = join(folder.path, HOLDER);
  try {
    const entry: LockHolder = { pid: process.pid, host: hostname(), command, since: new Date(clock.now()).toISOString() };
    await writeFile(holder, JSON.stringify(entry)).catch(() => undefined);
    return await use();
  } finally {
    await rm(holder, { force: true }).catch(() => undefined);
    release();
  }
}

/** True where the folder lies on NFS: there the lock holds between machines only if server and clients have lock managers. */
export async function isOnNfs(folder: PublisherFolder): Promise<boolean> {
  const found = await statfs(folder.path).catch(() => undefined);
  return found?.type === NFS;
}

async function acquire({ folder, clock, patience = minutes(30), onWait }: LockOptions): Promise<() => void> {
  const until = clock.monotonic() + patience;
  let told = false;
  for (;;) {
    const release = tryLock(join(folder.path, LOCK));
    if (release !== undefined) return release;
    const holder = await holderText(folder);
    if (clock.monotonic() >= until) throw new SkerryError('TRUST_FOLDER_BUSY', `${folder.path} is in use ${holder}`);
    if (!told) onWait?.(`waiting for ${folder.path}, in use ${holder}`);
    told = true;
    await new Promise<void>((resolve) => {
      clock.schedule(POLL, resolve);
    });
  }
}

function tryLock(path: string): (() => void) | undefined {
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { timeout: 0 });
    const held = database;
    held.exec('BEGIN EXCLUSIVE');
    return () => held.close();
  } catch (cause) {
    database?.close();
    if (cause instanceof Database.SqliteError && cause.code.startsWith('SQLITE_BUSY')) return undefined;
    throw asSkerryError(cause, 'IO_FAILED');
  }
}

async function holderText(folder: PublisherFolder): Promise<string> {
  try {
    const bytes = await readFile(join(folder.path, HOLDER));
    const { pid, host, command, since } = parseJson(holderSchema, bytes, { what: HOLDER, maxBytes: 4096 });
    return `by "${command}" (process ${pid} on ${host}, since ${since})`;
  } catch {
    return 'by another command';
  }
}
