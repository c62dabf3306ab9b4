import { describe, expect, it } from 'vitest';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import { keepDigits, listInputs, tensorAsInput, valuesAsTensor } from '#agent/cli/predict-input.js';

const spec = (shape: readonly number[]): TensorSpec => ({ name: 'x', datatype: 'FP32', shape });
const shapeOf = (value: unknown, shape: readonly number[], said?: string): readonly number[] =>
  valuesAsTensor({ name: 'x', value, shape: said }, [spec(shape)]).shape;

describe('valuesAsTensor', () => {
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
    expect(() => shapeOf([1], [1], '1,two')).toThrow(/must be sizes/);
  });

  it('keeps the nesting where the model takes any shape', () => {
    const any: TensorSpec = { ...spec([-1]), anyShape: true };
    const shape = (value: unknown): readonly number[] => valuesAsTensor({ name: 'x', value, shape: undefined }, [any]).shape;
    expect([
      shape([
        [1, 2],
        [3, 4],
      ]),
      shape([1, 2]),
      shape(7),
    ]).toEqual([[2, 2], [2], []]);
    expect(listInputs([any, { ...spec([2]), name: 'y' }])).toBe('x (FP32 of any shape), y (FP32 [2])');
  });

  it('asks where it cannot tell, and for a name the model has not', () => {
    expect(() => shapeOf([1, 2, 3], [-1, -1, -1])).toThrow(/--shape x=/);
    expect(() => shapeOf([1, 2, 3], [2, 2])).toThrow(/3 values do not tell/);
    expect(() => valuesAsTensor({ name: 'y', value: 1, shape: undefined }, [spec([])])).toThrow(/no input y; it takes x/);
  });

  it('flattens the data, keeps its order, and takes FP16 and BF16 as numbers', () => {
    const value = [
      [1, 2],
      [-0.5, 'Infinity'],
    ];
    const data = (datatype: TensorSpec['datatype']) =>
      valuesAsTensor({ name: 'x', value, shape: undefined }, [{ ...spec([2, 2]), datatype }]).data;
    expect([...new Float32Array(data('FP32').slice().buffer)]).toEqual([1, 2, -0.5, Infinity]);
    expect([...new Uint16Array(data('FP16').slice().buffer)]).toEqual([0x3c00, 0x4000, 0xb800, 0x7c00]);
    expect([...new Uint16Array(data('BF16').slice().buffer)]).toEqual([0x3f80, 0x4000, 0xbf00, 0x7f80]);
  });

  it('keeps every digit of 64-bit integers, and text as it is', () => {
    const read = (text: string, datatype: TensorSpec['datatype']) =>
      valuesAsTensor({ name: 'x', value: JSON.parse(keepDigits(text)), shape: undefined }, [{ ...spec([-1]), datatype }]).data;
    expect([...new BigInt64Array(read('[9223372036854775807, -9007199254740993, 5]', 'INT64').slice().buffer)]).toEqual([
      2n ** 63n - 1n,
      -(2n ** 53n) - 1n,
      5n,
    ]);
    expect([...new Float64Array(read('[12345678901234567890, 0.1234567890123456789, 1e20]', 'FP64').slice().buffer)]).toEqual([
      Number('12345678901234567890'),
      Number('0.1234567890123456789'),
      1e20,
    ]);
    expect(Buffer.from(read('["12345678901234567890 \\" 1"]', 'BYTES')).toString()).toContain('12345678901234567890 " 1');
  });
});

describe('tensorAsInput', () => {
  const tensor = { datatype: 'FP32', shape: [4], data: new Uint8Array(16) } as const;

  it('takes the tensor of a file as it is, or in the shape said', () => {
    expect(tensorAsInput('x', tensor, undefined, [spec([-1])])).toBe(tensor);
    expect(tensorAsInput('x', tensor, '2,2', [spec([2, 2])]).shape).toEqual([2, 2]);
  });

  it('refuses another datatype', () => {
    expect(() => tensorAsInput('x', { ...tensor, datatype: 'INT32' }, undefined, [spec([-1])])).toThrow(/the file has INT32/);
  });
});
