import type { DesiredState } from '#shared/trust/desired.js';

export interface SigningWorkerOptions {
  readonly seed: Uint8Array;
}

export interface SignRequest {
  readonly id: number;
  readonly statements: readonly DesiredState[];
}

/** One envelope for each statement, in the same order. */
export interface SignedReply {
  readonly id: number;
  readonly envelopes: readonly Uint8Array[];
}
