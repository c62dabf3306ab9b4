import { bitIndices, emptyBitmap, setBit } from '#shared/bundle/bitmap.js';

/** How many pieces are asked for at once, and at how few outstanding the next ones are. */
export interface FetchWindowSettings {
  readonly size: number;
  readonly low: number;
}

/** 128 pieces are about 8 MiB: enough to keep a link busy, little enough for the memory of a broker. */
export const DEFAULT_FETCH_WINDOW: FetchWindowSettings = { size: 128, low: 48 };

/**
 * Which pieces of a blob have been asked for and not come yet. Pure bookkeeping.
 * INVARIANT: between two calls of `reset` no piece is asked for twice, unless it came and was wrong.
 */
export class FetchWindow {
  readonly #settings: FetchWindowSettings;
  readonly #outstanding = new Set<number>();

  constructor(settings: FetchWindowSettings) {
    this.#settings = settings;
  }

  get outstanding(): number {
    return this.#outstanding.size;
  }

  /**
   * The pieces to ask for now, as a bitmap over `pieces`, and counts them as asked; `undefined` while enough are on the
   * way or nothing else is missing. `missing` is the blob's bitmap; `waiting` are pieces here but not on the disk yet.
   */
  next(missing: Uint8Array, pieces: number, waiting: (index: number) => boolean): Uint8Array | undefined {
    if (this.#outstanding.size > this.#settings.low) return undefined;
    const ask = emptyBitmap(pieces);
    let found = false;
    for (const index of bitIndices(missing)) {
      if (this.#outstanding.size >= this.#settings.size) break;
      if (this.#outstanding.has(index) || waiting(index)) continue;
      this.#outstanding.add(index);
      setBit(ask, index);
      found = true;
    }
    return found ? ask : undefined;
  }

  /** The piece came (right or wrong): it is no longer waited for. */
  arrived(index: number): void {
    this.#outstanding.delete(index);
  }

  /** Nothing asked for before is expected any more: after a reconnect or a silence. */
  reset(): void {
    this.#outstanding.clear();
  }
}
