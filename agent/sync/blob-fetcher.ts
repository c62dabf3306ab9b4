import type { Digest } from '#shared/bundle/names.js';
import { seconds } from '#shared/kernel/time.js';
import { fromErrorBody, SkerryError } from '#shared/kernel/errors.js';
import type { Cmd } from '#shared/protocol/messages.js';
import type { BlobFetcher } from '#agent/install/ports.js';
import type { PartialBlob } from '#agent/store/contract.js';
import { BlobDownload, type DownloadContext, type FetchSettings } from './blob-download.js';
import { DEFAULT_FETCH_WINDOW } from './fetch-window.js';

const DEFAULTS: FetchSettings = {
  ...DEFAULT_FETCH_WINDOW,
  silence: { base: seconds(5), max: seconds(60) },
  maxSilences: 8,
  maxWrongPieces: 4,
  queue: 32,
};

interface BlobFetcherOptions extends Omit<DownloadContext, 'settings'> {
  readonly settings?: Partial<FetchSettings>;
}

/** Fetches blobs over MQTT: any number of devices listen to the pieces of a blob, and each asks only for what it lacks. */
export class MqttBlobFetcher implements BlobFetcher {
  readonly #context: DownloadContext;
  readonly #running = new Map<Digest, BlobDownload>();

  constructor(options: BlobFetcherOptions) {
    this.#context = { ...options, settings: { ...DEFAULTS, ...options.settings } };
  }

  /**
   * Resolves when no piece is missing any more. Waits while offline. Rejects with what the hub refused it for, with
   * `SYNC_FETCH_TIMEOUT`, `BUNDLE_CHUNK_MISMATCH`, `DISK_FULL`, or `ABORTED` by `signal`; what was written stays.
   */
  async fetch(
    kind: 'target' | 'artifact',
    digest: Digest,
    blob: PartialBlob,
    pieces: number,
    onProgress: (haveBytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#running.has(digest)) throw new SkerryError('STORE_BLOB_BUSY', `${digest} is already being fetched`);
    const download = new BlobDownload(this.#context, { kind, digest, blob, pieces, onProgress });
    this.#running.set(digest, download);
    try {
      await download.run(signal);
    } finally {
      this.#running.delete(digest);
    }
  }

  /** The hub cannot answer a request (`cmd` channel). */
  refused(cmd: Extract<Cmd, { kind: 'fetch-refused' }>): void {
    this.#running.get(cmd.digest)?.fail(fromErrorBody(cmd.error));
  }
}
