import { bundleCodes } from './codes/bundle.js';
import { clientCodes } from './codes/client.js';
import type { CodeEntry } from './codes/define.js';
import { fleetCodes } from './codes/fleet.js';
import { hubCodes } from './codes/hub.js';
import { inferenceCodes } from './codes/inference.js';
import { kernelCodes } from './codes/kernel.js';
import { modelsCodes } from './codes/models.js';
import { packagingCodes } from './codes/packaging.js';
import { protobufCodes } from './codes/protobuf.js';
import { protocolCodes } from './codes/protocol.js';
import { publisherCodes } from './codes/publisher.js';
import { rolloutsCodes } from './codes/rollouts.js';
import { serveCodes } from './codes/serve.js';
import { standaloneCodes } from './codes/standalone.js';
import { statsCodes } from './codes/stats.js';
import { storeCodes } from './codes/store.js';
import { syncCodes } from './codes/sync.js';
import { tensorCodes } from './codes/tensor.js';
import { trustCodes } from './codes/trust.js';
import { updateCodes } from './codes/update.js';

/** Every error code of the project, one table per room. Codes are stable: clients and runbooks match on them. */
export const ERROR_CODES = {
  ...kernelCodes,
  ...tensorCodes,
  ...bundleCodes,
  ...trustCodes,
  ...protobufCodes,
  ...protocolCodes,
  ...inferenceCodes,
  ...modelsCodes,
  ...syncCodes,
  ...storeCodes,
  ...fleetCodes,
  ...hubCodes,
  ...publisherCodes,
  ...rolloutsCodes,
  ...serveCodes,
  ...standaloneCodes,
  ...statsCodes,
  ...packagingCodes,
  ...updateCodes,
  ...clientCodes,
} as const satisfies Readonly<Record<string, CodeEntry>>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** True when `value` names a code of this build (a peer of another version may know others). */
export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(ERROR_CODES, value);
}

/** True for a code about keys, signatures or metadata (shared/kernel/codes/trust.ts): it says nothing about the content of a version. */
export function isTrustCode(code: string): boolean {
  return Object.hasOwn(trustCodes, code);
}

/** True for what a caller did wrong. Codes of other releases are not known here: what nobody can tell apart is not forgiven. */
export function isCallersFault(code: string): boolean {
  return isErrorCode(code) && ERROR_CODES[code].fault === 'caller';
}

/** Callers that did not wait, or sent more than can wait: whatever version they asked, it says nothing about it. */
const NOBODYS: ReadonlySet<string> = new Set<ErrorCode>([
  'INFERENCE_ABANDONED',
  'INFERENCE_TIMEOUT_SHORT',
  'INFERENCE_QUEUE_FULL',
  'INFERENCE_QUEUE_TIMEOUT',
]);

/** What a failed prediction counts against: the version, the request (which may have fitted the version before), or nobody. */
export function blameFor(code: string): 'version' | 'request' | 'nobody' {
  if (NOBODYS.has(code)) return 'nobody';
  return isCallersFault(code) ? 'request' : 'version';
}
