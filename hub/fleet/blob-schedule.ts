import type { Digest } from '#shared/bundle/names.js';
import { bitIndices, clearBit, countBits, emptyBitmap, hasBit, setBit } from '#shared/bundle/bitmap.js';

export interface Piece {
  readonly digest: Digest;
  readonly index: number;
}

/** `full`: too many blobs at once; the device asks again after a silence. */
type RequestVerdict = 'accepted' | 'full';

interface Wanted {
  readonly pieces: number;
  /** Asked for and not handed out since. */
  readonly missing: Uint8Array;
  count: number;
  /** Where the search for the next piece goes on. */
  cursor: number;
}

/**
 * Decides which piece goes out next. Whoever asks for a blob joins the one answer being sent: what is missing is the union
 * of all requests, so a piece goes out once for all who asked before it was handed out. A piece handed out before a request
 * came may have passed that device by, so it goes out again. The search goes round the blob instead of starting over, so
 * late-comers to a running answer cost one more round at most, not one each. Blobs take turns, piece by piece. Requests for a
 * blob that is not being sent gather until `begin`.
 *
 * INVARIANT: a piece is handed out at least once after each request that names it, once that blob was begun, and never twice
 * without a request in between.
 */
export class BlobSchedule {
  readonly #maxBlobs: number;
  /** In the order of their turns: the first is served next, then moves to the end. */
  readonly #blobs = new Map<Digest, Wanted>();
  readonly #gathering = new Map<Digest, Wanted>();

  constructor(options: { readonly maxBlobs: number }) {
    this.#maxBlobs = options.maxBlobs;
  }

  /** Pieces asked for and not handed out. */
  get waiting(): number {
    let sum = 0;
    for (const blob of [...this.#blobs.values(), ...this.#gathering.values()]) sum += blob.count;
    return sum;
  }

  /** True while requests for the blob gather. */
  isGathering(digest: Digest): boolean {
    return this.#gathering.has(digest);
  }

  /** What was asked for of the blob may go out. */
  begin(digest: Digest): void {
    const blob = this.#gathering.get(digest);
    if (blob === undefined) return;
    this.#gathering.delete(digest);
    this.#blobs.set(digest, blob);
  }

  /** Adds a request; `missing` is a bitmap over `pieces` (bits past it are the caller's to refuse). */
  request(digest: Digest, pieces: number, missing: Uint8Array): RequestVerdict {
    let blob = this.#blobs.get(digest) ?? this.#gathering.get(digest);
    if (blob === undefined) {
      if (this.#blobs.size + this.#gathering.size >= this.#maxBlobs) return 'full';
      if (countBits(missing) === 0) return 'accepted';
      blob = { pieces, missing: emptyBitmap(pieces), count: 0, cursor: 0 };
      this.#gathering.set(digest, blob);
    }
    for (const index of bitIndices(missing)) {
      if (hasBit(blob.missing, index)) continue;
      setBit(blob.missing, index);
      blob.count += 1;
    }
    return 'accepted';
  }

  /** Hands out the next piece; undefined when nothing waits. */
  next(): Piece | undefined {
    const first = this.#blobs.entries().next();
    if (first.done === true) return undefined;
    const [digest, blob] = first.value;
    this.#blobs.delete(digest);
    const index = findFrom(blob);
    clearBit(blob.missing, index);
    blob.count -= 1;
    blob.cursor = (index + 1) % blob.pieces;
    if (blob.count > 0) this.#blobs.set(digest, blob);
    return { digest, index };
  }

  /** Forgets a blob nobody can be given. */
  drop(digest: Digest): void {
    this.#blobs.delete(digest);
    this.#gathering.delete(digest);
  }

  /** Forgets everything: after the link to the broker broke, every device asks again. */
  clear(): void {
    this.#blobs.clear();
    this.#gathering.clear();
  }
}

/** The first missing piece at or after the cursor, going round; a blob in the schedule always has one. */
function findFrom({ missing, pieces, cursor }: Wanted): number {
  for (let index = cursor; index < pieces; ) {
    if ((index & 7) === 0 && missing[index >> 3] === 0) index += 8;
    else if (hasBit(missing, index)) return index;
    else index += 1;
  }
  for (let index = 0; index < cursor; index += 1) if (hasBit(missing, index)) return index;
  return cursor;
}
