import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { clearBit, fullBitmap, hasBit } from '#shared/bundle/bitmap.js';
import { chunks } from '#shared/bundle/chunker.js';
import { digestFile, digestOf } from '#shared/bundle/digest.js';
import type { Digest } from '#shared/bundle/names.js';
import { syncFolder } from '#shared/kernel/atomic-file.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { BlobPlan } from '../contract.js';
import { type BlobFolder, unlessUnreadable } from './blob-folder.js';

interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly digest: Digest | undefined;
}

/**
 * A download under way: a sparse file of the final length.
 * INVARIANTS: what is present is found by hashing the file, never from notes beside it, so a crash or power cut cannot make
 * it lie. A piece counts as present only once its bytes are written and have its digest. Pieces without a digest (TUF
 * targets) are never taken over from an earlier run; the digest of the whole file decides in `finish`.
 */
export class PartialFile {
  readonly digest: Digest;
  readonly missing: Uint8Array;
  haveBytes = 0;
  readonly #folder: BlobFolder;
  readonly #pieces: readonly Piece[];
  readonly #sameContent: ReadonlyMap<Digest, readonly number[]>;
  readonly #file: FileHandle;
  #lacking: number;

  private constructor(folder: BlobFolder, plan: BlobPlan, file: FileHandle) {
    this.#folder = folder;
    this.digest = plan.digest;
    this.#file = file;
    this.#pieces = layOut(plan);
    this.#sameContent = indexByDigest(this.#pieces);
    this.#lacking = this.#pieces.length;
    this.missing = fullBitmap(this.#pieces.length);
  }

  /** Creates or resumes. Throws `STORE_OVER_BUDGET`, `DISK_FULL`. */
  static async open(folder: BlobFolder, plan: BlobPlan): Promise<PartialFile> {
    await folder.requireBudget(plan.digest, plan.length);
    const path = folder.partialPath(plan.digest);
    const file = await open(path, (await exists(path)) ? 'r+' : 'wx+');
    try {
      const partial = new PartialFile(folder, plan, file);
      const resumed = (await file.stat()).size === plan.length;
      if (resumed) await partial.#recognize();
      else await file.truncate(plan.length);
      await partial.#takeOver(plan.reuse);
      for (const outside of plan.reuseFiles ?? []) await unlessUnreadable(partial.#takeOverFile(outside));
      return partial;
    } catch (cause) {
      await file.close();
      throw cause;
    }
  }

  /** Verifies and writes one piece, and every other missing one of the same content. Throws `BUNDLE_CHUNK_MISMATCH`, `DISK_FULL`. */
  async write(index: number, bytes: Uint8Array): Promise<number[]> {
    const piece = this.#pieces[index];
    if (piece === undefined || bytes.byteLength !== piece.length || !hasDigest(bytes, piece.digest)) {
      throw new SkerryError('BUNDLE_CHUNK_MISMATCH', `chunk ${index} of ${this.digest} does not match its digest`, {
        details: { digest: this.digest, piece: index },
      });
    }
    await this.#folder.requireFree(bytes.byteLength);
    return this.#fill(index, piece, bytes);
  }

  /** Verifies the whole file, syncs it and moves it into place. Throws `BUNDLE_DIGEST_MISMATCH` and starts over from nothing then. */
  async finish(): Promise<void> {
    if (this.#lacking > 0) throw new SkerryError('STORE_BLOB_MISSING', `${this.#lacking} chunks of ${this.digest} are missing`);
    const path = this.#folder.partialPath(this.digest);
    if ((await digestFile(path)).digest !== this.digest) {
      await rm(path, { force: true });
      throw new SkerryError('BUNDLE_DIGEST_MISMATCH', `the content that came for ${this.digest} has another digest`);
    }
    await this.#file.sync();
    await rename(path, this.#folder.path(this.digest));
    await syncFolder(this.#folder.folder);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #recognize(): Promise<void> {
    for (const [index, piece] of this.#pieces.entries()) {
      if (piece.digest === undefined) continue;
      const bytes = await unlessUnreadable(readAt(this.#file, piece.offset, piece.length));
      if (bytes !== undefined && hasDigest(bytes, piece.digest)) this.#present(index, piece);
    }
  }

  /** Copies chunks that complete files of other versions hold: an update fetches only what really changed. */
  async #takeOver(reuse: BlobPlan['reuse']): Promise<void> {
    for (const source of reuse) {
      if (this.#lacking === 0) return;
      const offsets = this.#wantedOffsets(source.chunks);
      if (offsets.length === 0 || !(await this.#folder.has(source.digest))) continue;
      const file = await open(this.#folder.path(source.digest), 'r');
      try {
        for (const { index, piece, offset } of offsets) {
          if (!hasBit(this.missing, index)) continue;
          const bytes = await unlessUnreadable(readAt(file, offset, piece.length));
          if (bytes !== undefined && hasDigest(bytes, piece.digest)) {
            await this.#folder.requireFree(bytes.byteLength);
            await this.#fill(index, piece, bytes);
          }
        }
      } finally {
        await file.close();
      }
    }
  }

  /** As `#takeOver`, from a file whose chunks nobody listed: cut the same way, equal content has equal chunks. */
  async #takeOverFile(path: string): Promise<void> {
    if (this.#lacking === 0) return;
    const file = await open(path, 'r').catch(() => undefined);
    if (file === undefined) return;
    for await (const bytes of chunks(file.createReadStream({ highWaterMark: 1024 * 1024 }))) {
      const digest = digestOf(bytes);
      const index = this.#sameContent.get(digest)?.find((candidate) => hasBit(this.missing, candidate));
      const piece = index === undefined ? undefined : this.#pieces[index];
      if (index === undefined || piece === undefined) continue;
      await this.#folder.requireFree(bytes.byteLength);
      await this.#fill(index, piece, bytes);
      if (this.#lacking === 0) return;
    }
  }

  #wantedOffsets(listed: readonly (readonly [Digest, number])[]): { index: number; piece: Piece; offset: number }[] {
    const wanted: { index: number; piece: Piece; offset: number }[] = [];
    let offset = 0;
    for (const [digest, length] of listed) {
      const index = this.#sameContent.get(digest)?.find((candidate) => hasBit(this.missing, candidate));
      const piece = index === undefined ? undefined : this.#pieces[index];
      if (index !== undefined && piece?.length === length) wanted.push({ index, piece, offset });
      offset += length;
    }
    return wanted;
  }

  async #fill(index: number, piece: Piece, bytes: Uint8Array): Promise<number[]> {
    const filled: number[] = [];
    const same = piece.digest === undefined ? [index] : (this.#sameContent.get(piece.digest) ?? [index]);
    for (const candidate of same) {
      const target = this.#pieces[candidate];
      if (target === undefined || target.length !== bytes.byteLength || !hasBit(this.missing, candidate)) continue;
      await writeAt(this.#file, target.offset, bytes);
      this.#present(candidate, target);
      filled.push(candidate);
    }
    return filled;
  }

  #present(index: number, piece: Piece): void {
    if (!hasBit(this.missing, index)) return; // Written twice at the same time.
    clearBit(this.missing, index);
    this.haveBytes += piece.length;
    this.#lacking -= 1;
  }
}

function layOut(plan: BlobPlan): Piece[] {
  let offset = 0;
  const pieces = plan.pieces.map((piece) => {
    const placed = { offset, length: piece.length, digest: piece.digest };
    offset += piece.length;
    return placed;
  });
  if (offset !== plan.length) throw new SkerryError('INPUT_SCHEMA', `the pieces of ${plan.digest} do not add up to its length`);
  return pieces;
}

function indexByDigest(pieces: readonly Piece[]): Map<Digest, number[]> {
  const byDigest = new Map<Digest, number[]>();
  for (const [index, { digest }] of pieces.entries()) {
    if (digest === undefined) continue;
    const indices = byDigest.get(digest);
    if (indices === undefined) byDigest.set(digest, [index]);
    else indices.push(index);
  }
  return byDigest;
}

function hasDigest(bytes: Uint8Array, digest: Digest | undefined): boolean {
  return digest === undefined || digestOf(bytes) === digest;
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) break; // Shorter than it was listed: the digest will not fit.
    done += bytesRead;
  }
  return bytes;
}

async function writeAt(file: FileHandle, offset: number, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, offset + done);
    done += bytesWritten;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
