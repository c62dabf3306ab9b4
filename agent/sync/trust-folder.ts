import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DurableFs, nodeDurableFs, syncFolder, writeFileAtomic, writeFileSynced } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';

/** File operations of the trust folder; tests replace them to cut the power at each one. */
export interface TrustFs extends DurableFs {
  readonly mkdir: typeof mkdir;
  readonly readdir: typeof readdir;
  readonly readFile: typeof readFile;
}

export const nodeTrustFs: TrustFs = { ...nodeDurableFs, mkdir, readdir, readFile };

const POINTER = 'current';
const ANCHOR = 'anchor.root.json';
const STATE = /^state-(\d{1,12})$/;

/** The files of one accepted state, by name within it. */
export type StateFiles = ReadonlyMap<string, Uint8Array>;

/**
 * Accepted metadata on disk: `state-N` folders of which `current` names one, beside the pinned root. A new state is written
 * whole, synced, renamed to `state-N+1`, and is in force once `current` is replaced; a cut before that leaves the old state.
 */
export class TrustFolder {
  readonly #path: string;
  readonly #fs: TrustFs;

  constructor(path: string, fs: TrustFs = nodeTrustFs) {
    this.#path = path;
    this.#fs = fs;
  }

  /** Stores the root of trust given at enrolment; a second, different one is refused with `TRUST_ROOT_PINNED`. */
  async pin(root: Uint8Array): Promise<void> {
    await this.#fs.mkdir(this.#path, { recursive: true, mode: 0o700 });
    const anchor = await this.#read(ANCHOR);
    if (anchor !== undefined && Buffer.compare(anchor, root) !== 0) {
      throw new SkerryError('TRUST_ROOT_PINNED', `${this.#path} already pins another root`);
    }
    await writeFileAtomic(join(this.#path, ANCHOR), root, { fs: this.#fs });
    if ((await this.#read(POINTER)) !== undefined) return;
    await this.#removeOthers(undefined);
    const work = await this.#makeWork();
    await writeFileSynced(join(work, 'root.json'), root, { fs: this.#fs });
    await this.#install(work, 1);
  }

  /** Files of the state in force; `undefined` before `pin`. Throws `TRUST_STATE_CORRUPT` when `current` names nothing readable. */
  async load(): Promise<StateFiles | undefined> {
    const pointer = await this.#read(POINTER);
    if (pointer === undefined) return undefined;
    const folder = stateName(pointer);
    try {
      return await readStateFiles(join(this.#path, folder), this.#fs);
    } catch (cause) {
      throw new SkerryError('TRUST_STATE_CORRUPT', `the trust state ${folder} cannot be read`, { cause });
    }
  }

  /** Puts a new state in force that consists of these files; when it rejects, the old one still is. One change at a time is the caller's duty. */
  async replace(files: StateFiles): Promise<void> {
    const from = await this.#current();
    await this.#removeOthers(from);
    const to = Number(STATE.exec(from)?.[1]) + 1;
    const work = await this.#makeWork();
    try {
      for (const [name, bytes] of files) await writeFileSynced(join(work, name), bytes, { fs: this.#fs });
      await this.#install(work, to);
    } catch (cause) {
      await this.#fs.rm(work, { recursive: true, force: true }).catch(() => undefined);
      throw asSkerryError(cause, 'IO_FAILED');
    }
    // The change is in force; what could not be removed now goes with the next change.
    await this.#removeOthers(`state-${to}`).catch(() => undefined);
  }

  /** Runs `use` with an empty folder that is removed afterwards. */
  async scratch<T>(use: (folder: string) => Promise<T>): Promise<T> {
    await this.#removeOthers(await this.#current());
    const work = await this.#makeWork();
    try {
      return await use(work);
    } catch (cause) {
      throw asSkerryError(cause, 'IO_FAILED');
    } finally {
      await this.#fs.rm(work, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  async #current(): Promise<string> {
    const pointer = await this.#read(POINTER);
    if (pointer === undefined) throw new SkerryError('TRUST_ROOT_MISSING', 'this device has no pinned root; enrol it');
    return stateName(pointer);
  }

  async #makeWork(): Promise<string> {
    const work = join(this.#path, `work-${randomBytes(6).toString('hex')}`);
    await this.#fs.mkdir(work, { mode: 0o700 });
    return work;
  }

  async #install(work: string, number: number): Promise<void> {
    await syncFolder(work, this.#fs);
    await this.#fs.rename(work, join(this.#path, `state-${number}`));
    await syncFolder(this.#path, this.#fs);
    await writeFileAtomic(join(this.#path, POINTER), `state-${number}\n`, { fs: this.#fs });
  }

  /** Removes states no longer in force and what a cut left behind. */
  async #removeOthers(current: string | undefined): Promise<void> {
    for (const name of await this.#fs.readdir(this.#path)) {
      if (name === current || name === POINTER || name === ANCHOR) continue;
      if (STATE.test(name) || name.startsWith('work-') || name.endsWith('.tmp')) {
        await this.#fs.rm(join(this.#path, name), { recursive: true, force: true });
      }
    }
  }

  async #read(name: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#fs.readFile(join(this.#path, name));
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return undefined;
      throw asSkerryError(cause, 'IO_FAILED');
    }
  }
}

/** Files of one state folder by name. */
async function readStateFiles(folder: string, fs: TrustFs): Promise<StateFiles> {
  const files = new Map<string, Uint8Array>();
  for (const name of await fs.readdir(folder)) files.set(name, await fs.readFile(join(folder, name)));
  return files;
}

function stateName(pointer: Uint8Array): string {
  const name = Buffer.from(pointer).toString('utf8').trim();
  if (STATE.test(name)) return name;
  throw new SkerryError('TRUST_STATE_CORRUPT', 'the file that names the current trust state is damaged');
}
