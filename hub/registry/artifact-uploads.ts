import type { ArtifactStorage } from '#hub/store/artifacts.js';
import type { Digest } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { VersionStore } from './version-store.js';

/** Takes artifacts in and remembers when, so that what no version comes to name is cleared away some day. */
export class ArtifactUploads {
  readonly #storage: ArtifactStorage;
  readonly #store: VersionStore;
  readonly #clock: Clock;

  constructor(storage: ArtifactStorage, store: VersionStore, clock: Clock) {
    this.#storage = storage;
    this.#store = store;
    this.#clock = clock;
  }

  /** As `ArtifactStorage.put`. */
  async put(digest: Digest, source: AsyncIterable<Uint8Array>, length?: number): Promise<{ readonly length: number }> {
    const stored = await this.#storage.put(digest, source, length);
    await this.#store.artifactStored(digest, stored.length, this.#clock.now());
    return stored;
  }

  /**
   * Remembers artifacts that lie here and of which nothing is known: a crash came between the file and its row. They count as uploaded
   * now, so that their publisher may still name them and they are cleared away otherwise. Returns how many.
   */
  async adoptUnknown(): Promise<number> {
    const known = await this.#store.artifacts();
    let adopted = 0;
    for await (const digest of this.#storage.list()) {
      if (known.has(digest) || (await this.length(digest)) === undefined) continue;
      adopted += 1;
    }
    return adopted;
  }

  /** Bytes of an artifact that is here. Asking counts as using: its publisher is about to name it. */
  async length(digest: Digest): Promise<number | undefined> {
    const length = await this.#storage.length(digest);
    if (length !== undefined) await this.#store.artifactStored(digest, length, this.#clock.now());
    return length;
  }
}
