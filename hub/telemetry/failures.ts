import { blameFor } from '#shared/kernel/error-registry.js';

/** What of a version's predictions counts against it. */
export interface Failures {
  readonly failed: number;
  /** Predictions that could fail: answered ones and failed ones. */
  readonly exposure: number;
  /** Requests refused for what their callers sent, given up by them, or more than could wait. */
  readonly refused: number;
}

/**
 * Splits what devices reported: what a caller did wrong is no failure of the version. `countRefused`: it counts all the same, since
 * requests that fitted the version before may not fit this one; what callers gave up, allowed too little time for, or sent to a full queue never does.
 */
export function failuresOf(predictions: number, errors: ReadonlyMap<string, number>, countRefused = false): Failures {
  let failed = 0;
  let refused = 0;
  for (const [code, count] of errors) {
    const blame = blameFor(code);
    if (blame === 'version' || (blame === 'request' && countRefused)) failed += count;
    else refused += count;
  }
  // A device could report more failures than predictions.
  return { failed, exposure: Math.max(failed, predictions - refused), refused };
}
