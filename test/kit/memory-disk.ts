import type { Digest } from '#shared/bundle/names.js';
import { fullBitmap } from '#shared/bundle/bitmap.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { BlobEntry, BlobPlan, BlobStore, PartialBlob, ServingRecord, StateStore, VersionRecord } from '#agent/store/contract.js';
import { sha256 } from './memory-store.js';

/**
 * What a device has on its disk, in memory: it outlives the process that uses it. Handed to a process by `attach`, whose
 * `gate` is waited for before and after each write: there a test ends the process, which then never hears of anything again.
 */
export class MemoryDisk {
  readonly versions = new Map<string, VersionRecord>();
  readonly serving = new Map<string, ServingRecord>();
  readonly values = new Map<string, string>();
  readonly files = new Map<Digest, Uint8Array>();
  readonly partials = new Map<Digest, { readonly length: number; readonly pieces: Map<number, Uint8Array> }>();
  /** No write finds space while it is set. */
  full = false;
  budgetBytes = Number.MAX_SAFE_INTEGER;

  /** The files of a version as a load would find them. */
  isWhole(digest: Digest): boolean {
    const bytes = this.files.get(digest);
    return bytes !== undefined && sha256(bytes) === digest;
  }

  entries(): BlobEntry[] {
    const complete = [...this.files].map(([digest, bytes]) => ({ digest, bytes: bytes.byteLength, complete: true }));
    return [...complete, ...[...this.partials].map(([digest, { length }]) => ({ digest, bytes: length, complete: false }))];
  }

  attach(gate: () => Promise<void>): { readonly state: StateStore; readonly blobs: BlobStore } {
    const read = async <T>(work: () => T): Promise<T> => {
      await gate();
      return work();
    };
    const write = async <T>(work: () => T, needsSpace = true): Promise<T> => {
      await gate();
      if (needsSpace && this.full) throw new SkerryError('DISK_FULL', 'the test filled the disk');
      const result = work();
      await gate();
      return result;
    };
    return { state: this.#state(read, write), blobs: this.#blobs(read, write) };
  }

  #state(read: <T>(work: () => T) => Promise<T>, write: <T>(work: () => T) => Promise<T>): StateStore {
    const put = (record: VersionRecord): void => void this.versions.set(`${record.model}@${record.version}`, record);
    return {
      get: (key) => read(() => this.values.get(key)),
      set: (key, value) => write(() => void this.values.set(key, value)),
      versions: () => read(() => [...this.versions.values()]),
      putVersion: (record) => write(() => put(record)),
      deleteVersion: (model, version) => write(() => void this.versions.delete(`${model}@${version}`)),
      serving: () => read(() => [...this.serving.values()]),
      commitSwitch: (serving, records) =>
        write(() => {
          this.serving.set(serving.model, serving);
          for (const record of records) put(record);
        }),
      deleteServing: (model) => write(() => void this.serving.delete(model)),
    };
  }

  #blobs(read: <T>(work: () => T) => Promise<T>, write: <T>(work: () => T, needsSpace?: boolean) => Promise<T>): BlobStore {
    const notSetUp = (): never => {
      throw new Error('not set up in this fake');
    };
    return {
      has: (digest) => read(() => this.files.has(digest)),
      path: (digest) => digest,
      read: (digest) =>
        read(() => {
          const bytes = this.files.get(digest);
          if (bytes === undefined) throw new SkerryError('STORE_BLOB_MISSING', `${digest} is not there`);
          if (this.isWhole(digest)) return bytes;
          this.files.delete(digest);
          throw new SkerryError('STORE_BLOB_CORRUPT', `${digest} was damaged`);
        }),
      open: (plan) => write(() => this.#open(plan, write)),
      verify: (digest) =>
        read(() => {
          if (this.isWhole(digest)) return true;
          this.files.delete(digest);
          return false;
        }),
      delete: (digest) =>
        write(() => {
          this.files.delete(digest);
          this.partials.delete(digest);
        }, false),
      place: notSetUp,
      digestAt: notSetUp,
      usage: () => read(() => ({ usedBytes: this.#used(), budgetBytes: this.budgetBytes })),
      list: () => read(() => this.entries()),
    };
  }

  #used(except?: Digest): number {
    return this.entries().reduce((sum, { digest, bytes }) => sum + (digest === except ? 0 : bytes), 0);
  }

  #open(plan: BlobPlan, write: <T>(work: () => T) => Promise<T>): PartialBlob {
    const { digest, length } = plan;
    if (this.files.has(digest)) return alreadyHere(plan);
    if (this.#used(digest) + length > this.budgetBytes) throw new SkerryError('STORE_OVER_BUDGET', `${digest} does not fit`);
    const partial = this.partials.get(digest) ?? { length, pieces: new Map<number, Uint8Array>() };
    this.partials.set(digest, partial);
    const missing = (): Uint8Array => {
      const bits = fullBitmap(plan.pieces.length);
      for (const index of partial.pieces.keys()) bits[index >> 3] = (bits[index >> 3] ?? 0) & ~(1 << (index & 7));
      return bits;
    };
    return {
      missing,
      get haveBytes() {
        return [...partial.pieces.values()].reduce((sum, piece) => sum + piece.byteLength, 0);
      },
      write: (index, bytes) => write(() => void partial.pieces.set(index, bytes)),
      finish: () =>
        write(() => {
          const bytes = Buffer.concat(plan.pieces.map((_, index) => partial.pieces.get(index) ?? Buffer.alloc(0)));
          this.partials.delete(digest);
          if (sha256(bytes) !== digest) throw new SkerryError('BUNDLE_DIGEST_MISMATCH', `what came for ${digest} is something else`);
          this.files.set(digest, bytes);
        }),
      close: () => Promise.resolve(),
    };
  }
}

function alreadyHere({ pieces, length }: BlobPlan): PartialBlob {
  const nothing = (): Promise<void> => Promise.resolve();
  return { missing: () => fullBitmap(pieces.length).fill(0), haveBytes: length, write: nothing, finish: nothing, close: nothing };
}
