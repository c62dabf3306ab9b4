import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchKey, rowsOf, stack, unstack } from '#shared/tensor/rows.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';
import { coded } from '../kit/coded.js';
import { fp32 } from '../kit/servables.js';

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
