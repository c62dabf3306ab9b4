import { clearBit, hasBit } from '#shared/bundle/bitmap.js';
import type { OpenedBlob } from './calls.js';
import type { PartialBlob } from './contract.js';
import type { StoreThread } from './store-thread.js';

/** A download in the store thread, with the bitmap of what is missing mirrored here. */
export class RemoteBlob implements PartialBlob {
  readonly #thread: StoreThread;
  readonly #handle: number;
  readonly #missing: Uint8Array;
  #haveBytes: number;

  constructor(thread: StoreThread, opened: OpenedBlob) {
    this.#thread = thread;
    this.#handle = opened.handle;
    this.#missing = opened.missing;
    this.#haveBytes = opened.haveBytes;
  }

  get haveBytes(): number {
    return this.#haveBytes;
  }

  missing(): Uint8Array {
    return Uint8Array.from(this.#missing);
  }

  async write(index: number, bytes: Uint8Array): Promise<void> {
    if (!hasBit(this.#missing, index)) return;
    const { filled, haveBytes } = await this.#thread.call('blobWrite', this.#handle, index, bytes);
    for (const piece of filled) clearBit(this.#missing, piece);
    this.#haveBytes = Math.max(this.#haveBytes, haveBytes);
  }

  finish(): Promise<void> {
    return this.#thread.call('blobFinish', this.#handle);
  }

  close(): Promise<void> {
    return this.#thread.call('blobClose', this.#handle);
  }
}
