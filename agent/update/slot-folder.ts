import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncFolder, writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { type SlotName, type Slots, slotsSchema } from './slots.js';

const FILE = 'slot.json';
const MAX_BYTES = 256 * 1024;

/** `<data>/agents`: the two slots and the file that says what they are. */
export class SlotFolder {
  readonly folder: string;

  constructor(data: string) {
    this.folder = path.join(data, 'agents');
  }

  /** Where the executable of a slot lies. */
  executable(slot: SlotName): string {
    return path.join(this.folder, slot, 'skerry-agent');
  }

  /** `undefined` before the first update. Throws `UPDATE_SLOTS_INVALID`. */
  async read(): Promise<Slots | undefined> {
    const file = path.join(this.folder, FILE);
    try {
      return parseJson(slotsSchema, await readFile(file), { what: file, maxBytes: MAX_BYTES });
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return undefined;
      throw new SkerryError('UPDATE_SLOTS_INVALID', `${file} cannot be used: ${asSkerryError(cause).message}`, { cause });
    }
  }

  /** Survives a power cut once it resolves. Throws `DISK_FULL` or `IO_FAILED`. */
  async write(slots: Slots): Promise<void> {
    await this.#make(this.folder);
    await writeFileAtomic(path.join(this.folder, FILE), `${JSON.stringify(slots, undefined, 2)}\n`, { mode: 0o600 });
  }

  /** Makes the folder of a slot, and makes sure that it stays; what a power cut left there of another executable goes. */
  async prepare(slot: SlotName): Promise<void> {
    await this.#make(this.folder);
    const folder = path.dirname(this.executable(slot));
    await this.#make(folder);
    for (const name of await readdir(folder)) {
      if (name.endsWith('.tmp')) await rm(path.join(folder, name), { force: true });
    }
  }

  async #make(folder: string): Promise<void> {
    try {
      const made = await mkdir(folder, { recursive: true, mode: 0o700 });
      if (made !== undefined) await syncFolder(path.dirname(folder));
    } catch (cause) {
      throw asSkerryError(cause, 'IO_FAILED');
    }
  }
}
