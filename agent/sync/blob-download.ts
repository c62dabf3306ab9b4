import { randomUUID } from 'node:crypto';
import { bitmapToBase64, countBits, hasBit } from '#shared/bundle/bitmap.js';
import type { Digest } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError, hasCode, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { blobFilter, deviceTopic, parseTopic } from '#shared/protocol/topics.js';
import type { PartialBlob } from '#agent/store/contract.js';
import type { LinkPort } from './contract.js';
import { FetchWindow, type FetchWindowSettings } from './fetch-window.js';

export interface FetchSettings extends FetchWindowSettings {
  /** After this long without a piece, what is missing is asked for again; grows with every silence, with jitter. */
  readonly silence: { readonly base: Millis; readonly max: Millis };
  /** Silences in a row, while online, after which the fetch fails. */
  readonly maxSilences: number;
  /** Wrong pieces after which the fetch fails. */
  readonly maxWrongPieces: number;
  /** Pieces held in memory until the disk has taken them. */
  readonly queue: number;
}

/** What a download needs beside what it was asked for. */
export interface DownloadContext {
  readonly fleet: string;
  readonly device: DeviceId;
  readonly link: LinkPort;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1), for the jitter of repeated requests. */
  readonly random: () => number;
  readonly settings: FetchSettings;
}

interface DownloadJob {
  readonly kind: 'target' | 'artifact';
  readonly digest: Digest;
  readonly blob: PartialBlob;
  readonly pieces: number;
  readonly onProgress: (haveBytes: number) => void;
}

/**
 * One blob on its way. Pieces wait in a bounded queue for the disk; while it is full the link reads no further.
 * INVARIANTS: at most one `#drain` runs; a piece is in `#waiting` from its arrival until the disk has taken it; after
 * `#end` nothing is asked, written or scheduled any more.
 */
export class BlobDownload {
  readonly #context: DownloadContext;
  readonly #job: DownloadJob;
  readonly #window: FetchWindow;
  readonly #waiting = new Map<number, Uint8Array>();
  readonly #room: (() => void)[] = [];
  #draining = false;
  #silences = 0;
  #wrong = 0;
  #cancelTimer: () => void = () => undefined;
  #end: ((failure?: SkerryError) => void) | undefined;

  constructor(context: DownloadContext, job: DownloadJob) {
    this.#context = context;
    this.#job = job;
    this.#window = new FetchWindow(context.settings);
  }

  async run(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw new SkerryError('ABORTED', 'the fetch was cancelled');
    if (countBits(this.#job.blob.missing()) === 0) return;
    const { link, fleet } = this.#context;
    const onAbort = (): void => this.fail(new SkerryError('ABORTED', 'the fetch was cancelled'));
    const undo: (() => void)[] = [];
    try {
      await new Promise<void>((resolve, reject) => {
        this.#end = (failure) => (failure === undefined ? resolve() : reject(failure));
        signal.addEventListener('abort', onAbort, { once: true });
        const pieces = link.subscribe(blobFilter(fleet, this.#job.digest), (topic, payload) => this.#onPiece(topic, payload));
        const unwatch = link.onStatus((status) => (status.kind === 'online' ? this.#restart() : this.#cancelTimer()));
        undo.push(() => pieces.close(), unwatch);
        // Asked before the subscription stands, the first pieces would go by.
        void pieces.ready.then(() => this.#ask());
      });
    } finally {
      this.#end = undefined;
      signal.removeEventListener('abort', onAbort);
      for (const step of undo) step();
      this.#cancelTimer();
      this.#waiting.clear();
      for (const release of this.#room.splice(0)) release();
    }
  }

  /** Ends the download with `failure`; what is on the disk stays for the next one. */
  fail(failure: SkerryError): void {
    this.#end?.(failure);
  }

  #restart(): void {
    this.#silences = 0;
    this.#window.reset();
    this.#ask();
  }

  /** Asks for the next pieces if few are outstanding, and waits for them. */
  #ask(): void {
    const { link, fleet, device, logger } = this.#context;
    if (this.#end === undefined || link.status.kind !== 'online') return;
    const { kind, digest, pieces, blob } = this.#job;
    const missing = this.#window.next(blob.missing(), pieces, (index) => this.#waiting.has(index));
    this.#watch();
    if (missing === undefined) return;
    const request = encodeMessage('fetch', { device, id: randomUUID(), kind, digest, pieces, missing: bitmapToBase64(missing) });
    link.publish(deviceTopic(fleet, device, 'fetch'), request).catch((cause: unknown) => {
      logger.debug({ digest, reason: asSkerryError(cause).message }, 'a fetch request did not reach the broker; retrying on reconnect');
    });
  }

  /** Starts the wait for the next piece anew. */
  #watch(): void {
    this.#cancelTimer();
    const { clock, random, settings } = this.#context;
    const ceiling = Math.min(settings.silence.max, settings.silence.base * 2 ** this.#silences);
    // Between half and all of it, so that devices that lost the same hub do not ask it in step.
    this.#cancelTimer = clock.schedule(ceiling * (0.5 + 0.5 * random()), () => this.#onSilence());
  }

  #onSilence(): void {
    // A slow disk is not a silent hub.
    if (this.#waiting.size > 0) {
      this.#watch();
      return;
    }
    this.#silences += 1;
    const { digest } = this.#job;
    if (this.#silences >= this.#context.settings.maxSilences) {
      this.fail(new SkerryError('SYNC_FETCH_TIMEOUT', `the hub did not answer ${this.#silences} requests for chunks of ${digest}`));
      return;
    }
    this.#window.reset();
    this.#ask();
  }

  #onPiece(topic: string, payload: Uint8Array): void | Promise<void> {
    const parsed = parseTopic(topic);
    if (this.#end === undefined || parsed?.kind !== 'blob' || parsed.index >= this.#job.pieces) return undefined;
    const { index } = parsed;
    this.#window.arrived(index);
    if (this.#waiting.has(index) || !hasBit(this.#job.blob.missing(), index)) return undefined;
    this.#silences = 0;
    this.#waiting.set(index, payload);
    void this.#drain();
    if (this.#waiting.size < this.#context.settings.queue) return undefined;
    return new Promise((resolve) => this.#room.push(resolve));
  }

  async #drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    try {
      for (const [index, bytes] of this.#waiting) {
        if (this.#end === undefined) return;
        await this.#write(index, bytes);
        this.#waiting.delete(index);
        if (this.#waiting.size < this.#context.settings.queue / 2) for (const release of this.#room.splice(0)) release();
      }
    } catch (cause) {
      this.fail(asSkerryError(cause));
      return;
    } finally {
      this.#draining = false;
    }
    if (countBits(this.#job.blob.missing()) === 0) this.#end?.();
    else this.#ask();
  }

  async #write(index: number, bytes: Uint8Array): Promise<void> {
    const { blob, digest, onProgress } = this.#job;
    try {
      await blob.write(index, bytes);
      onProgress(blob.haveBytes);
    } catch (cause) {
      if (!hasCode(cause, 'BUNDLE_CHUNK_MISMATCH')) throw cause;
      this.#wrong += 1;
      this.#context.logger.warn({ digest, index }, 'a chunk does not match its digest in the manifest; dropped');
      if (this.#wrong >= this.#context.settings.maxWrongPieces) throw cause;
    }
  }
}
