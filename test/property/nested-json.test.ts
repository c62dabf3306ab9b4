import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonAllowance } from '#agent/serve/json/json-allowance.js';
import { nestedTensor } from '#agent/serve/json/nested-read.js';
import { nestedPieces } from '#agent/serve/json/nested-write.js';
import { readPythonJson } from '#agent/serve/json/python-json.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { fromJson } from '#shared/tensor/json.js';
import type { Tensor, TensorSpec } from '#shared/tensor/tensor.js';
import { atOnce } from '#shared/kernel/turns.js';
import { outcome } from '../kit/coded.js';

// Tensors as nested arrays, in JSON as Python writes it.

const ELEMENTS = 10_000;
const spec = (datatype: Datatype, shape: readonly number[]): TensorSpec => ({ name: 'x', datatype, shape });
const read = (value: unknown, input: TensorSpec, elements = ELEMENTS): Tensor =>
  atOnce(nestedTensor(value, { spec: input, json: new JsonAllowance(elements) }));
const parse = (text: string): unknown => atOnce(readPythonJson(Buffer.from(text), 'the body', ELEMENTS));
const refusal = (fn: () => unknown): string | undefined => {
  const result = outcome(fn);
  return 'code' in result ? result.code : undefined;
};
const write = (tensor: Tensor, indent?: number): string => [...nestedPieces(tensor, indent)].join('');

const floats = fc.oneof(fc.float(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e30));
const CELLS: readonly (readonly [Datatype, fc.Arbitrary<unknown>])[] = [
  ['FP32', floats.map((value) => (Number.isFinite(value) ? value : String(value)))],
  ['FP64', fc.double({ noNaN: true, noDefaultInfinity: true })],
  ['INT64', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)],
  ['UINT8', fc.integer({ min: 0, max: 255 })],
  ['BF16', fc.integer({ min: -256, max: 256 })],
  ['BOOL', fc.boolean()],
  ['BYTES', fc.string({ unit: 'grapheme' })],
];
const tensors = fc
  .tuple(fc.constantFrom(...CELLS), fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }))
  .chain(([[datatype, cell], shape]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    return fc.array(cell, { minLength: count, maxLength: count }).map((data) => fromJson(datatype, shape, data, 'made'));
  });

describe('nested arrays', () => {
  test('what was written is read back, in one line and indented', () => {
    fc.assert(
      fc.property(tensors, fc.constantFrom(undefined, 2), (tensor, indent) => {
        const text = write(tensor, indent);
        expect(read(parse(text), spec(tensor.datatype, tensor.shape))).toEqual(tensor);
      }),
    );
  });

  test('floating-point numbers have a point or an exponent; what JSON lacks is a word of Python', () => {
    const tensor = fromJson('FP32', [2, 3], [1, 'NaN', '-Infinity', -0, 0.5, 1e30], 'made');
    expect(write(tensor)).toBe('[[1.0,NaN,-Infinity],[-0.0,0.5,1.0000000150474662e+30]]');
    expect(write(tensor, 2)).toContain('[\n  [\n    1.0,\n    NaN,');
    expect(write(fromJson('INT64', [2], ['9223372036854775807', 1], 'made'))).toBe('[9223372036854775807,1]');
    expect(write(fromJson('FP32', [2, 0], [], 'made'), 2)).toBe('[\n  [],\n  []\n]');
  });

  test.each([
    ['uneven rows', [[1, 2], [1]], 'TENSOR_DATA'],
    ['a row that is a number', [[1, 2], 3], 'TENSOR_DATA'],
    ['a number that is a row', [[1, [2]]], 'TENSOR_DATA'],
    ['an empty row that is not', [[], [1]], 'TENSOR_DATA'],
    ['a word', [['a', 2]], 'TENSOR_DATA'],
    ['an object', [[{}, 2]], 'TENSOR_DATA'],
    ['many empty rows', Array.from({ length: 2_000 }, () => []), 'TENSOR_DATA'],
    ['more than may be', Array.from({ length: 200 }, () => [1, 2]), 'SERVE_JSON_TOO_LARGE'],
  ])('refused: %s', (_what, value, code) => {
    expect(refusal(() => read(value, spec('FP32', [-1, 2]), 100))).toBe(code);
  });

  test('deep nesting is refused before it is walked', () => {
    let value: unknown = 1;
    for (let depth = 0; depth < 60; depth++) value = [value];
    expect(refusal(() => read(value, spec('FP32', [-1])))).toBe('TENSOR_TOO_LARGE');
  });

  test.each([
    [
      [1, 2, 3],
      [-1, 1],
      [3, 1],
    ],
    [5, [-1], [1]],
    [5, [-1, 1], [1, 1]],
    [[1, 2], [-1, 2], [2]],
    [[[1, 2]], [-1, 2], [1, 2]],
    [5, [], []],
  ])('%j for an input %j is %j', (value, declared, shape) => {
    expect(read(value, spec('FP32', declared)).shape).toEqual(shape);
  });

  test.each([
    ['FP32', '1.5', 1.5],
    ['FP32', ' 2 ', 2],
    ['FP32', true, 1],
    ['FP32', null, 'NaN'],
    ['FP32', '-inf', '-Infinity'],
    ['INT64', '7', 7],
    ['INT64', 9007199254740993n, '9007199254740993'],
    ['INT32', false, 0],
    ['BOOL', 'True', true],
    ['BOOL', 0, false],
  ] as const)('%s takes %s', (datatype, value, same) => {
    expect(read([value], spec(datatype, [-1]))).toEqual(fromJson(datatype, [1], [same], 'made'));
  });

  test.each([
    ['FP32', ''],
    ['FP32', '0x10'],
    ['INT64', 1.5],
    ['INT64', null],
    ['INT64', '1.0'],
    ['INT64', 2n ** 63n],
    ['BYTES', 5],
    ['BYTES', null],
    ['BOOL', 'yes'],
  ] as const)('%s does not take %s', (datatype, value) => {
    expect(refusal(() => read([value], spec(datatype, [-1])))).toBe('TENSOR_DATA');
  });
});

describe('JSON as Python writes it', () => {
  test('whatever is JSON is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }), fc.constantFrom(undefined, 1), (value, space) => {
        const text = JSON.stringify(value, undefined, space);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test('long lists of numbers, with other things between them, are read as one by one', () => {
    const entry = fc.oneof(
      { weight: 20, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }).map(String) },
      { weight: 1, arbitrary: fc.constantFrom('NaN', '-Infinity', '"1"', '[1,2]', '9007199254740993', 'null') },
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 200 }), fc.constantFrom(',', ' ,\n '), (entries, comma) => {
        const list = parse(`[${entries.join(comma)}]`);
        expect(list).toEqual(entries.map((text) => (text.startsWith('[') ? [1, 2] : parse(text))));
      }),
    );
  });

  test('what is broken is refused as SERVE_BODY, wherever it is', () => {
    const numbers = Array.from({ length: 60 }, (_, index) => index).join();
    for (const text of [
      '',
      '[1,',
      `[${numbers},]`,
      `[${numbers}`,
      `[${numbers},,1]`,
      `[${numbers},1..2,3]`,
      '[NaN',
      'nan',
      '[Infinit]',
      '-',
    ]) {
      expect(
        refusal(() => parse(text)),
        text,
      ).toBe('SERVE_BODY');
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect([undefined, 'SERVE_BODY']).toContain(refusal(() => atOnce(readPythonJson(bytes, 'the body', ELEMENTS))));
      }),
    );
  });

  test('more values than a request may have are refused', () => {
    const text = `[${Array.from({ length: 400_000 }, () => '1').join()}]`;
    const bytes = Buffer.from(text);
    expect(refusal(() => atOnce(readPythonJson(bytes, 'the body', 10)))).toBe('SERVE_JSON_TOO_LARGE');
    expect(atOnce(readPythonJson(bytes, 'the body', 400_000))).toHaveLength(400_000);
  });
});
