import { expect, test } from 'vitest';
import { holdsUnexpected } from '#agent/inference/checks/finite.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { ROWS } from '#shared/signals/rows.js';
import { notFiniteIn } from '#shared/tensor/not-finite.js';
import type { Tensor } from '#shared/tensor/tensor.js';
import { fp32, modelName, versionNumber } from '../../kit/servables.js';

const target = { model: modelName('vad'), version: versionNumber(3), variant: 'fp32', provider: 'cpu' };
const timing = { queue: 0, compute: 1, total: 1 };

test('an answer that is no number counts as failed, in the window and since the start', () => {
  const recorder = new MetricsRecorder();
  for (const notFinite of [false, true, false, true, false])
    recorder.succeeded(target, timing, { outputs: { y: fp32([1, 1], [0]) }, notFinite });
  recorder.failed(target, 'INFERENCE_RUN_FAILED');
  recorder.succeeded(target, timing);
  const errors = { INFERENCE_NOT_FINITE: 2, INFERENCE_RUN_FAILED: 1 };
  const [window] = recorder.take();
  expect(window?.toWindow()).toMatchObject({ predictions: 7, errors });
  expect(Object.fromEntries(recorder.totals()[0]?.sums.of(ROWS.errors) ?? [])).toEqual(errors);
});

const shown = (...outputs: readonly Tensor[]) => notFiniteIn(outputs.map((y) => ({ y })));

test('what golden samples show is no failure: by output and by kind', () => {
  const log = fp32([1, 2], [-Infinity, 0]);
  expect(holdsUnexpected({ y: log }, shown(log))).toBe(false);
  expect(holdsUnexpected({ y: log }, shown(fp32([1, 1], [0])))).toBe(true);
  expect(holdsUnexpected({ y: fp32([1, 1], [Infinity]) }, shown(log))).toBe(true);
  expect(holdsUnexpected({ y: fp32([1, 1], [NaN]) }, shown(log))).toBe(true);
  expect(holdsUnexpected({ other: log }, shown(log))).toBe(true);
  expect(holdsUnexpected({ y: fp32([1, 3], [NaN, -Infinity, 1]) }, shown(log, fp32([1, 1], [NaN])))).toBe(false);
});

test('values of every kind are told apart in every floating-point datatype, and others have none', () => {
  const half: Tensor = { datatype: 'FP16', shape: [3], data: new Uint8Array(Uint16Array.of(0x7e00, 0xfc00, 0x3c00).buffer) };
  const brain: Tensor = { datatype: 'BF16', shape: [2], data: new Uint8Array(Uint16Array.of(0x7f80, 0x3f80).buffer) };
  const double: Tensor = { datatype: 'FP64', shape: [1], data: new Uint8Array(Float64Array.of(Infinity).buffer) };
  const whole: Tensor = { datatype: 'UINT16', shape: [1], data: new Uint8Array(Uint16Array.of(0x7e00).buffer) };
  expect([...shown(half).get('y')!]).toEqual(['NaN', '-Infinity']);
  expect([...shown(brain).get('y')!]).toEqual(['Infinity']);
  expect([...shown(double).get('y')!]).toEqual(['Infinity']);
  expect(shown(whole).size).toBe(0);
  for (const y of [half, brain, double]) expect(holdsUnexpected({ y }, new Map())).toBe(true);
  expect(holdsUnexpected({ y: whole }, new Map())).toBe(false);
});
