import { fullBitmap } from '#shared/bundle/bitmap.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { OpenedBlob, WrittenPiece } from '../calls.js';
import type { BlobPlan } from '../contract.js';
import type { BlobFolder } from './blob-folder.js';
import { PartialFile } from './partial-file.js';

/** Downloads the main thread has open, by handle; one download of a file at a time. */
export class BlobHandles {
  readonly #folder: BlobFolder;
  readonly #open = new Map<number, PartialFile | 'complete'>();
  readonly #busy = new Set<string>();
  #next = 1;

  constructor(folder: BlobFolder) {
    this.#folder = folder;
  }

  async open(plan: BlobPlan): Promise<OpenedBlob> {
    const handle = this.#next++;
    if (await this.#folder.has(plan.digest)) {
      this.#open.set(handle, 'complete');
      return { handle, missing: fullBitmap(plan.pieces.length).fill(0), haveBytes: plan.length };
    }
    if (this.#busy.has(plan.digest)) throw new SkerryError('STORE_BLOB_BUSY', `${plan.digest} is already being downloaded`);
    this.#busy.add(plan.digest);
    try {
      const partial = await PartialFile.open(this.#folder, plan);
      this.#open.set(handle, partial);
      return { handle, missing: partial.missing, haveBytes: partial.haveBytes };
    } catch (cause) {
      this.#busy.delete(plan.digest);
      throw cause;
    }
  }

  async write(handle: number, index: number, bytes: Uint8Array): Promise<WrittenPiece> {
    const partial = this.#get(handle);
    if (partial === 'complete') return { filled: [], haveBytes: 0 };
    const filled = await partial.write(index, bytes);
    return { filled, haveBytes: partial.haveBytes };
  }

  async finish(handle: number): Promise<void> {
    const partial = this.#get(handle);
    if (partial !== 'complete') await partial.finish();
  }

  async close(handle: number): Promise<void> {
    const partial = this.#open.get(handle);
    this.#open.delete(handle);
    if (partial === undefined || partial === 'complete') return;
    try {
      await partial.close();
    } finally {
      this.#busy.delete(partial.digest);
    }
  }

  async closeAll(): Promise<void> {
    for (const handle of this.#open.keys()) await this.close(handle);
  }

  #get(handle: number): PartialFile | 'complete' {
    const partial = this.#open.get(handle);
    if (partial === undefined) throw new SkerryError('CLOSED', 'this download was closed');
    return partial;
  }
}
