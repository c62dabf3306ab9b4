import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { QuantileSketch } from '#shared/stats/sketch.js';
import type { DesiredState } from '#shared/trust/desired.js';
import type { PartialBlob } from '#agent/store/contract.js';

// What `models` needs from the outside; `sync` implements it, `app` joins the two.

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

/** How a version behaved on this device. */
export interface BehaviourFigures {
  /** Answered and failed ones. */
  readonly predictions: number;
  readonly failed: number;
  /** Requests refused for what their callers sent; not among `predictions`. */
  readonly refused: number;
  /** Unexpected ends of its workers. */
  readonly crashes: number;
  /** Whole requests that were answered, milliseconds. */
  readonly latency: QuantileSketch;
}

/** What the device itself holds a version on trial to. */
export interface BehaviourSource {
  /** The last half hour of a version. */
  recent(model: ModelName, version: VersionNumber): BehaviourFigures;
  /** Everything since `begin`; `undefined` when it was not begun since the agent started. */
  trial(model: ModelName, version: VersionNumber): BehaviourFigures | undefined;
  begin(model: ModelName, version: VersionNumber): void;
  forget(model: ModelName, version: VersionNumber): void;
}
