import { NEEDS_NEWER_AGENT } from '#shared/bundle/features.js';
import { type ErrorCode, isTrustCode } from '#shared/kernel/error-registry.js';

/** What follows from a step that failed. */
export type Verdict =
  /** Nothing: it was cancelled. */
  | 'drop'
  /** The same step again, after a growing delay. */
  | 'retry'
  /** Again after a delay, and space is made meanwhile. */
  | 'space'
  /** The version is at fault: it is marked bad. */
  | 'refuse';

export interface Failure {
  /** The step loads the version: its failure may be the version's. */
  readonly loads: boolean;
  readonly code: ErrorCode;
  /** How often this very step failed before. */
  readonly failedBefore: number;
  /** The device serves as well without the version (R2). */
  readonly replaceable: boolean;
}

/** The signed content itself is wrong, or forbidden: trying again cannot change it. */
const REFUSED_AT_ONCE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MODELS_MANIFEST_MISMATCH',
  'MODELS_BELOW_MINIMUM',
  'MODELS_NO_PROGRESS',
  'UPDATE_NO_PROGRESS',
  'BUNDLE_MANIFEST_INVALID',
  'INPUT_TOO_LARGE',
]);

/** What the hub sent is wrong; a damaged answer may be followed by a good one, so a few are allowed. */
const REFUSED_AFTER_RETRIES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MODELS_NOT_TRUSTED',
  'BUNDLE_CHUNK_MISMATCH',
  'BUNDLE_DIGEST_MISMATCH',
]);
const RETRIES = 2;

/** Failures of a load that say nothing about the version. */
const NOT_ITS_FAULT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'IO_FAILED',
  'STORE_FAILED',
  'STORE_BLOB_MISSING',
  'STORE_BLOB_CORRUPT',
  'INTERNAL',
  'TIMEOUT',
  // The kernel ends the largest process when memory runs out, whoever took it; somebody may end one, or none can be started.
  'INFERENCE_INSTANCE_DIED',
  'INFERENCE_OUT_OF_MEMORY',
  'INFERENCE_MEMORY_BUDGET',
  'INFERENCE_VERSION_CONFLICT',
  'INFERENCE_TRANSITION',
]);

/** Pure: decides by code, kind of step and count. */
export function judge({ loads, code, failedBefore, replaceable }: Failure): Verdict {
  if (code === 'ABORTED' || code === 'CLOSED') return 'drop';
  if (code === 'DISK_FULL' || code === 'STORE_OVER_BUDGET') return 'space';
  if (NEEDS_NEWER_AGENT.has(code)) return 'retry';
  if (REFUSED_AT_ONCE.has(code)) return replaceable ? 'refuse' : 'retry';
  if (REFUSED_AFTER_RETRIES.has(code)) return replaceable && failedBefore >= RETRIES ? 'refuse' : 'retry';
  // A slow moment of the device looks the same: only what does not come back again is at fault.
  if (code === 'INFERENCE_STUCK' && failedBefore < 1) return 'retry';
  if (!loads || !replaceable || isTrustCode(code)) return 'retry';
  return NOT_ITS_FAULT.has(code) && failedBefore < RETRIES ? 'retry' : 'refuse';
}
