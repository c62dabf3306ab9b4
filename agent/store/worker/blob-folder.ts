import { mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { digestFile, digestOf } from '#shared/bundle/digest.js';
import { type Digest, digestSchema } from '#shared/bundle/names.js';
import { syncFolder } from '#shared/kernel/atomic-file.js';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';
import type { BlobEntry } from '../contract.js';
import type { StoreLimits } from '../limits.js';

const PARTIAL_SUFFIX = '.partial';

export interface Inventory {
  readonly number: number;
  readonly entries: readonly BlobEntry[];
}

const NANOS = 1_000_000n;
/** File systems tell times apart no finer than some milliseconds: a younger time may hide a further change. */
const SETTLED = 100n * NANOS;

/** The folder of files filed under their SHA-256: `<digest>` is complete and was verified, `<digest>.partial` is under way. */
export class BlobFolder {
  readonly folder: string;
  readonly #limits: StoreLimits;
  #inventory: Inventory = { number: 0, entries: [] };
  #entries: ReadonlyMap<string, BlobEntry> = new Map();
  /** When the folder had last changed as it was looked at. */
  #time: bigint | undefined;
  #looking: Promise<unknown> = Promise.resolve();

  constructor(folder: string, limits: StoreLimits) {
    this.folder = folder;
    this.#limits = limits;
  }

  async prepare(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
  }

  path(digest: Digest): string {
    return join(this.folder, digest);
  }

  partialPath(digest: Digest): string {
    return join(this.folder, digest + PARTIAL_SUFFIX);
  }

  async has(digest: Digest): Promise<boolean> {
    return (await sizeOf(this.path(digest))) !== undefined;
  }

  /** The whole content, hashed again: what is parsed is what was signed. */
  async read(digest: Digest, maxBytes: number): Promise<Uint8Array> {
    const size = await sizeOf(this.path(digest));
    if (size === undefined) throw new SkerryError('STORE_BLOB_MISSING', `${digest} is not in the model cache`);
    if (size > maxBytes) throw new SkerryError('INPUT_TOO_LARGE', `${digest} has ${size} bytes, at most ${maxBytes} are read`);
    const bytes = new Uint8Array(size);
    const file = await open(this.path(digest), 'r');
    let isReadable: boolean;
    try {
      isReadable = (await unlessUnreadable(file.read(bytes, 0, size, 0))) !== undefined;
    } finally {
      await file.close();
    }
    if (!isReadable || digestOf(bytes) !== digest) {
      await this.delete(digest);
      throw new SkerryError('STORE_BLOB_CORRUPT', `${digest} was damaged on the disk and is deleted`);
    }
    return bytes;
  }

  async verify(digest: Digest): Promise<boolean> {
    if (!(await this.has(digest))) return false;
    if ((await unlessUnreadable(digestFile(this.path(digest))))?.digest === digest) return true;
    await this.delete(digest);
    return false;
  }

  async delete(digest: Digest): Promise<void> {
    await rm(this.path(digest), { force: true });
    await rm(this.partialPath(digest), { force: true });
    await syncFolder(this.folder);
  }

  /**
   * What is in the folder. A complete file never changes its size, so only what is new, or under way, is looked at; an entry that
   * came or went changes the time of the folder, so an old time that is known means that none did.
   */
  async list(): Promise<readonly BlobEntry[]> {
    return (await this.inventory()).entries;
  }

  /** The same; the number is another one whenever the entries are. One look at a time: others wait for the one under way. */
  inventory(): Promise<Inventory> {
    const looking = this.#looking.then(() => this.#look());
    this.#looking = looking.catch(() => undefined);
    return looking;
  }

  async #look(): Promise<Inventory> {
    const { mtimeNs } = await stat(this.folder, { bigint: true });
    const isOld = BigInt(Date.now()) * NANOS - mtimeNs > SETTLED;
    const names = isOld && mtimeNs === this.#time ? [...this.#entries.keys()] : await readdir(this.folder);
    const entries = new Map<string, BlobEntry>();
    for (const name of names) {
      const known = this.#entries.get(name);
      const entry = known?.complete === true ? known : await this.#entryOf(name, known);
      if (entry !== undefined) entries.set(name, entry);
    }
    const isSame = entries.size === this.#entries.size && [...entries].every(([name, entry]) => this.#entries.get(name) === entry);
    this.#time = mtimeNs;
    this.#entries = entries;
    if (!isSame) this.#inventory = { number: this.#inventory.number + 1, entries: [...entries.values()] };
    return this.#inventory;
  }

  async #entryOf(name: string, known: BlobEntry | undefined): Promise<BlobEntry | undefined> {
    const complete = !name.endsWith(PARTIAL_SUFFIX);
    const digest = digestSchema.safeParse(complete ? name : name.slice(0, -PARTIAL_SUFFIX.length));
    const bytes = digest.success ? await sizeOf(join(this.folder, name)) : undefined;
    if (!digest.success || bytes === undefined) return undefined;
    return known?.bytes === bytes ? known : { digest: digest.data, bytes, complete };
  }

  /** Partial files count with their full length: that much is promised to them. */
  async usage(): Promise<{ usedBytes: number; budgetBytes: number }> {
    const usedBytes = (await this.list()).reduce((sum, entry) => sum + entry.bytes, 0);
    return { usedBytes, budgetBytes: this.#limits.diskBudgetBytes };
  }

  /** Throws `STORE_OVER_BUDGET` when a file of `length` bytes does not fit beside what is here. */
  async requireBudget(digest: Digest, length: number): Promise<void> {
    const others = (await this.list()).filter((entry) => entry.digest !== digest).reduce((sum, entry) => sum + entry.bytes, 0);
    if (others + length <= this.#limits.diskBudgetBytes) return;
    throw new SkerryError(
      'STORE_OVER_BUDGET',
      `${digest} needs ${length} bytes, ${Math.max(0, this.#limits.diskBudgetBytes - others)} of ${this.#limits.diskBudgetBytes} are left`,
    );
  }

  /** Throws `DISK_FULL` before a write would eat the space the database needs. */
  async requireFree(bytes: number): Promise<void> {
    const figures = await statfs(this.folder);
    const free = figures.bavail * figures.bsize;
    if (free - bytes >= this.#limits.diskReserveBytes) return;
    throw new SkerryError('DISK_FULL', `${free} bytes are free, ${bytes} and a reserve of ${this.#limits.diskReserveBytes} are needed`);
  }
}

/** `undefined` where the disk can no longer read what is there: that is damage as any other, and is fetched again. */
export async function unlessUnreadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (cause) {
    if (errnoOf(cause) === 'EIO') return undefined;
    throw cause;
  }
}

/** No file, or an entry the file system can no longer follow: one of them must not hide all others. */
const NOT_THERE = ['ENOENT', 'EIO', 'EUCLEAN', 'ELOOP'];

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const stats = await stat(path);
    return stats.isFile() ? stats.size : undefined;
  } catch (cause) {
    if (NOT_THERE.includes(errnoOf(cause) ?? '')) return undefined;
    throw cause;
  }
}
