import type { PredictionRecorder } from '#agent/inference/contract.js';

/** Tells several recorders. */
export function tee(...recorders: readonly PredictionRecorder[]): PredictionRecorder {
  return {
    succeeded(target, timing, answer) {
      for (const recorder of recorders) recorder.succeeded(target, timing, answer);
    },
    failed(target, code, total) {
      for (const recorder of recorders) recorder.failed(target, code, total);
    },
    crashed(target) {
      for (const recorder of recorders) recorder.crashed(target);
    },
    rechecked(target, result) {
      for (const recorder of recorders) recorder.rechecked(target, result);
    },
    shadowed(target, result) {
      for (const recorder of recorders) recorder.shadowed(target, result);
    },
    shadowDropped(target) {
      for (const recorder of recorders) recorder.shadowDropped(target);
    },
  };
}
