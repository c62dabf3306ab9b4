import { describe, expect, test } from 'vitest';
import { causeOf, knownInputs, memoryCauseOf } from '#agent/inference/faults/failure-cause.js';
import type { NamedTensors, Tensor, TensorSpec } from '#shared/tensor/tensor.js';
import { fp32, numbersOf } from '../../kit/servables.js';

const int = (shape: readonly number[], values: readonly number[]): Tensor => ({
  datatype: 'INT32',
  shape,
  data: new Uint8Array(Int32Array.from(values).buffer),
});
const ints = (tensor: Tensor | undefined): number[] => [...new Int32Array(tensor?.data.slice().buffer ?? new ArrayBuffer(0))];
const DECLARED: readonly TensorSpec[] = [
  { name: 'ids', datatype: 'INT32', shape: [-1, -1] },
  { name: 'x', datatype: 'FP32', shape: [-1, 4] },
];
const KNOWN = knownInputs({ ids: int([1, 2], [3, 4]), x: fp32([1, 4], [1, 2, 3, 4]) }, DECLARED);
const REQUEST: NamedTensors = { ids: int([1, 5], [9, 9, 9, 9, 9]), x: fp32([1, 4], [7, 7, 7, 7]) };

/** What runs fail on, and what they were given. */
async function found(fails: (inputs: NamedTensors) => boolean, request = REQUEST) {
  const runs: NamedTensors[] = [];
  const run = (inputs: NamedTensors): Promise<void> => {
    runs.push(inputs);
    return fails(inputs) ? Promise.reject(new Error('no')) : Promise.resolve();
  };
  return { cause: await causeOf(run, request, KNOWN), runs };
}

test('4: a request larger than the golden sample that needs too much memory is its own cause, by its rows as well', async () => {
  const elements = (inputs: NamedTensors): number => numbersOf(inputs['x']).length;
  const run = (most: number) => (inputs: NamedTensors) => (elements(inputs) > most ? Promise.reject(new Error('no')) : Promise.resolve());
  const rows: NamedTensors = {
    ids: int([3, 2], [3, 4, 3, 4, 3, 4]),
    x: fp32(
      [3, 4],
      Array.from({ length: 12 }, () => 7),
    ),
  };
  expect(await causeOf(run(8), rows, KNOWN)).toEqual({ kind: 'model' });
  expect(await memoryCauseOf(run(8), rows, KNOWN)).toEqual({ kind: 'sizes', inputs: ['ids', 'x'] });
  expect(await memoryCauseOf(run(0), rows, KNOWN), 'nothing runs any more').toEqual({ kind: 'model' });
});

describe('what made a run fail', () => {
  test('values of codes: golden ones in the sizes of the request run', async () => {
    const { cause, runs } = await found(({ ids }) => ints(ids).some((id) => id > 5));
    expect(cause).toEqual({ kind: 'values', inputs: ['ids'] });
    expect(ints(runs[0]?.['ids'])).toEqual([3, 4, 3, 4, 3]);
    expect(numbersOf(runs[0]?.['x'])).toEqual([7, 7, 7, 7]);
  });

  test.each<[string, (inputs: NamedTensors) => boolean]>([
    ['values of data', ({ x }) => numbersOf(x).includes(7)],
    ['a session that runs nothing any more', () => true],
  ])('%s is the model', async (_, fails) => {
    expect((await found(fails)).cause).toEqual({ kind: 'model' });
  });

  test('sizes that no golden sample shows, but not the number of rows alone', async () => {
    expect((await found(({ ids }) => ids?.shape[1] === 5)).cause).toEqual({ kind: 'sizes', inputs: ['ids'] });
    const rows = { ids: int([2, 2], [3, 4, 3, 4]), x: fp32([2, 4], [1, 2, 3, 4, 1, 2, 3, 4]) };
    expect((await found(({ ids }) => ids?.shape[0] === 2, rows)).cause).toEqual({ kind: 'model' });
    const apart = { ...rows, x: fp32([3, 4], Array(12).fill(1)) };
    expect((await found(({ ids, x }) => ids?.shape[0] !== x?.shape[0], apart)).cause).toEqual({ kind: 'sizes', inputs: ['ids', 'x'] });
  });

  test('is looked for in a few runs', async () => {
    for (const fails of [() => true, ({ ids }: NamedTensors) => ids?.shape[1] === 5])
      expect((await found(fails)).runs.length).toBeLessThanOrEqual(8);
  });
});
