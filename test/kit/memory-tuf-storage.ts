import type { TufStorage } from '#hub/registry/tuf/storage.js';

/** A working TufStorage in memory; `failAfter` makes the put of that number (0 first) and all after it fail. */
export class MemoryTufStorage implements TufStorage {
  readonly files = new Map<string, Uint8Array>();
  failAfter = Number.POSITIVE_INFINITY;
  puts = 0;
  /** Bytes of all puts. */
  bytes = 0;

  async get(file: string): Promise<Uint8Array | undefined> {
    return this.files.get(file);
  }

  async put(file: string, bytes: Uint8Array): Promise<void> {
    this.puts += 1;
    if (this.puts > this.failAfter) throw new Error('storage cut off');
    this.files.set(file, bytes);
    this.bytes += bytes.byteLength;
  }

  async keepOnly(files: ReadonlySet<string>): Promise<void> {
    for (const name of this.files.keys()) if (!files.has(name)) this.files.delete(name);
  }
}
