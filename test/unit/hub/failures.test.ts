import { expect, test } from 'vitest';
import { failuresOf } from '#hub/telemetry/failures.js';

const errors = new Map([
  ['INFERENCE_RUN_FAILED', 3],
  ['TENSOR_SHAPE', 40],
  ['INFERENCE_INPUT_REFUSED', 10],
  ['INFERENCE_ABANDONED', 5],
  ['INFERENCE_TIMEOUT_SHORT', 7],
  ['INFERENCE_QUEUE_FULL', 8],
  ['INFERENCE_TIMEOUT', 1],
  ['CODE_OF_A_LATER_RELEASE', 2],
]);

test('what callers did wrong is no failure, unless it counts; what they gave up, hurried or crowded never is; unknown codes are failures', () => {
  expect(failuresOf(100, errors)).toEqual({ failed: 6, exposure: 30, refused: 70 });
  expect(failuresOf(100, errors, true)).toEqual({ failed: 56, exposure: 80, refused: 20 });
});

test('a device that reports more refused requests than predictions makes no negative number', () => {
  expect(failuresOf(3, new Map([['TENSOR_SHAPE', 9]]))).toEqual({ failed: 0, exposure: 0, refused: 9 });
});
