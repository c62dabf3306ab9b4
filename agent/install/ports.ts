import type { Digest } from '#shared/bundle/names.js';
import type { DesiredState } from '#shared/trust/desired.js';
import type { PartialBlob } from '#agent/store/contract.js';

// What installing a version needs of the hub. `sync` implements it, `app` joins the two.

/** A target as the verified TUF metadata gives it. */
export interface VerifiedTarget {
  readonly path: string;
  readonly length: number;
  readonly digest: Digest;
  readonly custom: unknown;
}

/** TUF client of the device: `refresh` walks root, timestamp, snapshot, targets; lookups are on the last accepted state, offline too. */
export interface TrustClient {
  refresh(): Promise<{ readonly root: number; readonly timestamp: number; readonly snapshot: number }>;
  /** Looks up a target through the delegations; `undefined` when no trusted role lists it. */
  target(path: string): Promise<VerifiedTarget | undefined>;
  /** Highest `minimumVersion` any trusted targets metadata states for the model. */
  minimumVersion(model: string): Promise<number>;
}

/** Fills a partial blob from wherever the hub is: asks for exactly what is missing, asks again after a silence, resumes after a reconnect. */
export interface BlobFetcher {
  fetch(
    kind: 'target' | 'artifact',
    digest: Digest,
    blob: PartialBlob,
    pieces: number,
    onProgress: (haveBytes: number) => void,
    signal: AbortSignal,
  ): Promise<void>;
}

/** A desired state that passed every check of shared/trust (signature, device, counter, expiry). */
export interface DesiredSource {
  /** The newest accepted one, from the store when offline. */
  current(): DesiredState | undefined;
  onAccepted(listener: (desired: DesiredState) => void): () => void;
}
