import { describe, expect, it } from 'vitest';
import { type InputSpec, shapeInput } from '#agent/cli/predict-input.js';

const spec = (shape: readonly number[]): InputSpec => ({ name: 'x', datatype: 'FP32', shape });
const shapeOf = (value: unknown, shape: readonly number[], said?: string): readonly number[] =>
  shapeInput({ name: 'x', value, shape: said }, [spec(shape)]).shape;

describe('shapeInput', () => {
  it('takes the nesting where it fits the model', () => {
    expect(shapeOf([[1, 2, 3]], [-1, 3])).toEqual([1, 3]);
    expect(shapeOf(5, [])).toEqual([]);
    expect(shapeOf([1, 2], [-1])).toEqual([2]);
  });

  it('gives a flat list the shape of the model', () => {
    expect(shapeOf([1, 2, 3, 4], [2, 2])).toEqual([2, 2]);
    expect(shapeOf([1, 2, 3, 4], [-1, 2])).toEqual([2, 2]);
    expect(shapeOf([1, 2, 3, 4], [-1, -1])).toEqual([1, 4]);
    expect(shapeOf([1, 2, 3, 4], [2, -1, 2])).toEqual([2, 1, 2]);
  });

  it('takes the shape said before all', () => {
    expect(shapeOf([1, 2, 3, 4], [-1, -1], '4,1')).toEqual([4, 1]);
    expect(shapeOf([1, 2], [-1, -1], '1x2')).toEqual([1, 2]);
    expect(() => shapeOf([1], [1], '1,two')).toThrow(/wants sizes/);
  });

  it('asks where it cannot tell, and for a name the model has not', () => {
    expect(() => shapeOf([1, 2, 3], [-1, -1, -1])).toThrow(/--shape x=/);
    expect(() => shapeOf([1, 2, 3], [2, 2])).toThrow(/3 values do not tell/);
    expect(() => shapeInput({ name: 'y', value: 1, shape: undefined }, [spec([])])).toThrow(/no input y; it takes x/);
  });

  it('flattens the data and keeps its order', () => {
    expect(
      shapeInput(
        {
          name: 'x',
          value: [
            [1, 2],
            [3, 4],
          ],
          shape: undefined,
        },
        [spec([2, 2])],
      ).data,
    ).toEqual([1, 2, 3, 4]);
  });
});
