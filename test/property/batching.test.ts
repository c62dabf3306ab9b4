import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchPolicy, decideBatch } from '#agent/inference/decide/batch-policy.js';
import { batchKey, rowsOf, stack, unstack } from '#shared/tensor/rows.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';
import { coded } from '../kit/coded.js';
import { fp32 } from '../kit/servables.js';

const items = fc.array(
  fc.record({
    rows: fc.integer({ min: 1, max: 12 }),
    key: fc.constantFrom('a', 'b'),
    enqueuedAt: fc.integer({ min: 0, max: 100 }),
    alone: fc.boolean(),
  }),
  { maxLength: 20 },
);
const policies = fc
  .record({
    maxBatchSize: fc.integer({ min: 1, max: 16 }),
    preferredSizes: fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 3 }),
    maxDelayMicros: fc.integer({ min: 0, max: 50_000 }),
  })
  .map(batchPolicy);

describe('the batching policy', () => {
  test('takes a prefix of equal requests that fits, and makes nobody wait longer than the delay', () => {
    fc.assert(
      fc.property(items, policies, fc.integer({ min: 0, max: 200 }), (unsorted, policy, now) => {
        const queue = unsorted.toSorted((a, b) => a.enqueuedAt - b.enqueuedAt);
        const decision = decideBatch(queue, now, policy);
        const [head] = queue;
        const until = head === undefined ? Number.POSITIVE_INFINITY : head.enqueuedAt + policy.maxDelay;
        const count = decision.kind === 'run' ? decision.count : 0;
        const batch = queue.slice(0, count);
        const rows = batch.reduce((sum, item) => sum + item.rows, 0);
        const together = batch.every((item) => item.key === head?.key && !item.alone) && rows <= policy.maxBatchSize;
        const waits = decision.kind === 'wait' && decision.until === until && now < until;
        expect(waits || (count > 0 && batch.length === count && (count === 1 || together))).toBe(true);
      }),
    );
  });

  test('waits while more may come, runs at a preferred size, when full, and when the delay is over', () => {
    const policy = batchPolicy({ maxBatchSize: 8, preferredSizes: [4], maxDelayMicros: 10_000 });
    const one = (rows: number, alone = false) => ({ rows, key: 'a', enqueuedAt: 0, alone });
    expect(decideBatch([one(1), one(1)], 5, policy)).toEqual({ kind: 'wait', until: 10 });
    expect(decideBatch([one(1), one(1)], 10, policy)).toEqual({ kind: 'run', count: 2 });
    expect(decideBatch([one(2), one(2), one(1)], 0, policy)).toEqual({ kind: 'run', count: 2 });
    expect(decideBatch([one(5), one(5)], 0, policy)).toEqual({ kind: 'run', count: 1 });
    expect(decideBatch([one(1), { ...one(1), key: 'b' }], 0, policy)).toEqual({ kind: 'run', count: 1 });
    expect(decideBatch([one(1, true), one(1)], 0, policy)).toEqual({ kind: 'run', count: 1 });
    expect(decideBatch([one(20)], 0, policy), 'larger than a batch: by itself').toEqual({ kind: 'run', count: 1 });
  });
});

const rowsAndRequests = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 }).chain((rows) =>
  fc.tuple(
    ...rows.map((count) =>
      fc.record({
        x: fc.array(fc.float({ noNaN: true }), { minLength: count * 3, maxLength: count * 3 }).map((values) => fp32([count, 3], values)),
        text: fc
          .array(fc.uint8Array({ maxLength: 6 }), { minLength: count, maxLength: count })
          .map((elements): Tensor => ({ datatype: 'BYTES', shape: [count], data: joinBytesElements(elements) })),
      }),
    ),
  ),
);

describe('stacking', () => {
  test('what is stacked and cut again is what each request would have got by itself', () => {
    fc.assert(
      fc.property(rowsAndRequests, (requests: readonly NamedTensors[]) => {
        expect(new Set(requests.map(batchKey)).size).toBe(1);
        const rows = requests.map((request) => rowsOf(request) ?? -1);
        expect(unstack(stack(requests), rows).map(plain)).toEqual(requests.map(plain));
      }),
    );
  });

  test('an output without a row for each input row is refused', () => {
    expect(() => unstack({ y: fp32([1, 1], [1]) }, [1, 1])).toThrow(coded('INFERENCE_OUTPUT_INVALID', '"y"'));
    expect(rowsOf({ x: fp32([2], [1, 2]), z: fp32([], [1]) })).toBeUndefined();
    expect(rowsOf({ x: fp32([0, 2], []) })).toBeUndefined();
  });
});

const plain = (tensors: NamedTensors) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { datatype, shape, data }]) => [name, { datatype, shape: [...shape], data: [...data] }]),
  );
