import { expect, test } from 'vitest';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { fp32, modelName, versionNumber } from '../../kit/servables.js';

const target = { model: modelName('vad'), version: versionNumber(3), variant: 'fp32', provider: 'cpu' };
const timing = { queue: 0, compute: 1, total: 1 };

test('an answer that is no number counts as failed, in the window and since the start', () => {
  const recorder = new MetricsRecorder();
  for (const value of [1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3]) recorder.succeeded(target, timing, { y: fp32([1, 2], [0, value]) });
  recorder.failed(target, 'INFERENCE_RUN_FAILED');
  recorder.succeeded(target, timing);
  const errors = { INFERENCE_NOT_FINITE: 2, INFERENCE_RUN_FAILED: 1 };
  const [window] = recorder.take();
  expect(window?.toWindow()).toMatchObject({ predictions: 7, errors });
  expect(Object.fromEntries(recorder.totals()[0]?.errors ?? [])).toEqual(errors);
});
