import { expect, test } from 'vitest';
import type { ServableSpec } from '#agent/inference/contract.js';
import { warmUpSizes } from '#agent/inference/placement/warm-up.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { coded } from '../../kit/coded.js';
import { type FakeBehaviour, FakeInstance } from '../../kit/fake-instance.js';
import { fp32, numbersOf, writeServable, X, Y } from '../../kit/servables.js';

const sample = { inputs: { x: fp32([2, 4], [1, 2, 3, 4, 9, 9, 9, 9]) }, outputs: { y: fp32([2, 4], [1, 2, 3, 4, 9, 9, 9, 9]) } };
const refuses: Partial<FakeBehaviour> = {
  run: () => {
    throw new SkerryError('INFERENCE_RUN_FAILED', 'too many rows');
  },
};

async function warmed(change: Partial<ServableSpec>, behaviour: Partial<FakeBehaviour> = {}): Promise<FakeInstance> {
  const spec = await writeServable(Uint8Array.of(1), { samples: [sample], batching: { maxBatchSize: 8, preferredSizes: [4, 2, 4] } });
  const instance = new FakeInstance({ inputs: [X], outputs: [Y], ...behaviour });
  await warmUpSizes(instance, { ...spec, ...change }, 1000);
  return instance;
}

const shapes = (instance: FakeInstance) => instance.runs.map(({ inputs }) => inputs['x']?.shape);

test('a version with batches runs the first row of its golden sample in each size of batch', async () => {
  const instance = await warmed({});
  expect(shapes(instance)).toEqual([
    [2, 4],
    [4, 4],
    [8, 4],
  ]);
  expect(numbersOf(instance.runs[0]?.inputs['x'])).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
});

test('one without golden samples runs made-up values, which it may refuse', async () => {
  expect(shapes(await warmed({ goldenSamples: [] }))).toHaveLength(3);
  expect(shapes(await warmed({ goldenSamples: [] }, refuses))).toHaveLength(1);
});

test('a golden sample that a batch cannot be made of fails the load with the reason', async () => {
  await expect(warmed({}, refuses)).rejects.toEqual(coded('INFERENCE_WARM_UP_FAILED', 'with 2 rows failed: too many rows'));
});

test('sizes that no warm-up could run in reasonable time and memory are left out', async () => {
  const batching = { maxBatchSize: 1_000_000, preferredSizes: [2] };
  expect(shapes(await warmed({ batching }))).toEqual([[2, 4]]);
});

test('requests given with a version take the place of all others, and are run as often as they say', async () => {
  const input = { datatype: 'FP32', shape: [1, 4] } as const;
  const warmUp = [
    { name: 'zeros', count: 2, rows: 3, inputs: { x: { ...input, fill: 'zero' } } },
    { name: 'random', count: 1, rows: 2, inputs: { x: { ...input, fill: 'random' } } },
  ] as const;
  const instance = await warmed({ warmUp });
  expect(shapes(instance)).toEqual([
    [3, 4],
    [3, 4],
    [2, 4],
  ]);
  expect(numbersOf(instance.runs[0]?.inputs['x'])).toEqual(Array.from({ length: 12 }, () => 0));
  const random = numbersOf(instance.runs[2]?.inputs['x']);
  expect(random.every((value) => value >= 0 && value < 1)).toBe(true);
  expect(new Set(random).size).toBe(4);
});
