import type { Digest } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { BlobPlan, BlobStore } from '#agent/store/contract.js';
import { type AdmissionDeps, requireAdmitted, type SignedVersion } from './admission.js';
import type { BlobFetcher } from './ports.js';

/**
 * Downloads files into the cache.
 * INVARIANT: one download per file, whoever needs it; who comes second waits for its end and then plans again.
 */
export class Downloads {
  readonly #blobs: BlobStore;
  readonly #fetcher: BlobFetcher;
  readonly #running = new Map<Digest, Promise<void>>();

  constructor(blobs: BlobStore, fetcher: BlobFetcher) {
    this.#blobs = blobs;
    this.#fetcher = fetcher;
  }

  /** Refreshes the metadata, checks the version against it and gets its manifest. */
  async manifest(version: SignedVersion, admission: AdmissionDeps, signal: AbortSignal): Promise<void> {
    await admission.trust.refresh(); // Expired or withdrawn metadata stops updates here (R1).
    const { length } = await requireAdmitted(admission, version);
    if (await this.#blobs.has(version.manifest)) return;
    await this.file('target', { digest: version.manifest, length, pieces: targetPieces(length), reuse: [] }, signal);
  }

  async file(
    kind: 'target' | 'artifact',
    plan: BlobPlan,
    signal: AbortSignal,
    onProgress: (haveBytes: number) => void = () => undefined,
  ): Promise<void> {
    const running = this.#running.get(plan.digest);
    if (running !== undefined) {
      const ended = running.catch(() => undefined);
      return abortable(ended, signal);
    }
    const download = this.#download(kind, plan, signal, onProgress);
    this.#running.set(plan.digest, download);
    try {
      await download;
    } finally {
      this.#running.delete(plan.digest);
    }
  }

  async #download(
    kind: 'target' | 'artifact',
    plan: BlobPlan,
    signal: AbortSignal,
    onProgress: (haveBytes: number) => void,
  ): Promise<void> {
    const blob = await this.#blobs.open(plan);
    try {
      onProgress(blob.haveBytes);
      const isMissing = blob.missing().some((bits) => bits !== 0);
      if (isMissing) await this.#fetcher.fetch(kind, plan.digest, blob, plan.pieces.length, onProgress, signal);
      await blob.finish();
    } finally {
      await blob.close();
    }
  }
}

/** Resolves with `work`, or rejects as soon as `signal` aborts. */
async function abortable(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new SkerryError('ABORTED', 'the download is no longer needed'));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** A TUF target is cut at fixed offsets; only its whole digest is known beforehand. */
function targetPieces(length: number): { length: number }[] {
  const count = Math.max(1, Math.ceil(length / LIMITS.targetPieceBytes));
  return Array.from({ length: count }, (_, index) => ({
    length: Math.min(LIMITS.targetPieceBytes, length - index * LIMITS.targetPieceBytes),
  }));
}
