import { expect, test } from 'vitest';
import { StatisticsCounter } from '#agent/inference/statistics/servable-statistics.js';
import { modelName, versionNumber } from '../../kit/servables.js';

const MODEL = modelName('m');
const VERSION = versionNumber(3);
const TIMES = { input: 1, compute: 2, output: 0.5 };

test('a run that two requests share counts once as a run, and in full for each request', () => {
  const counter = new StatisticsCounter({ now: () => 1_796_052_058_653.4 });
  counter.ran(3, TIMES);
  counter.succeeded({ ...TIMES, queue: 4, total: 8, rows: 1 });
  counter.succeeded({ ...TIMES, queue: 0, total: 4, rows: 2 });
  counter.failed(7);
  const twice = (ms: number) => ({ count: 2, ns: 2 * ms * 1e6 });
  expect(counter.read(MODEL, VERSION)).toEqual({
    model: 'm',
    version: 3,
    lastInference: 1_796_052_058_653,
    inferenceCount: 3,
    executionCount: 1,
    success: { count: 2, ns: 12e6 },
    fail: { count: 1, ns: 7e6 },
    queue: { count: 2, ns: 4e6 },
    computeInput: twice(1),
    computeInfer: twice(2),
    computeOutput: twice(0.5),
    batches: [
      {
        batchSize: 3,
        computeInput: { count: 1, ns: 1e6 },
        computeInfer: { count: 1, ns: 2e6 },
        computeOutput: { count: 1, ns: 500_000 },
      },
    ],
  });
});

test('sizes of batches are listed rising, and only so many are told apart', () => {
  const counter = new StatisticsCounter({ now: () => 0 });
  for (let rows = 1_000; rows >= 1; rows--) counter.ran(rows, TIMES);
  const { executionCount, batches } = counter.read(MODEL, VERSION);
  expect(executionCount).toBe(1_000);
  expect(batches).toHaveLength(256);
  expect(batches[0]?.batchSize).toBe(745);
  expect(batches.at(-1)?.batchSize).toBe(1_000);
});
