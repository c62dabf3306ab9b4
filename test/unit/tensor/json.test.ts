import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { fromJson } from '#shared/tensor/json.js';
import { coded } from '../../kit/coded.js';
import { toJson } from '../../kit/tensor-json.js';

describe('fromJson', () => {
  it.each<[Datatype, number[], unknown, ErrorCode]>([
    ['INT8', [1], [128], 'TENSOR_DATA'],
    ['INT8', [1], [1.5], 'TENSOR_DATA'],
    ['INT8', [1], ['1'], 'TENSOR_DATA'],
    ['UINT8', [1], [-1], 'TENSOR_DATA'],
    ['BOOL', [1], [1], 'TENSOR_DATA'],
    ['FP32', [1], [null], 'TENSOR_DATA'],
    ['FP32', [1], [1e39], 'TENSOR_DATA'],
    ['FP32', [1], ['nan'], 'TENSOR_DATA'],
    ['FP32', [1], ['1'], 'TENSOR_DATA'],
    ['INT32', [1], ['NaN'], 'TENSOR_DATA'],
    ['INT64', [1], [2 ** 53], 'TENSOR_DATA'],
    ['INT64', [1], ['9223372036854775808'], 'TENSOR_DATA'],
    ['INT64', [1], ['1e3'], 'TENSOR_DATA'],
    ['UINT64', [1], ['-1'], 'TENSOR_DATA'],
    ['BYTES', [1], ['\ud800'], 'TENSOR_DATA'],
    ['FP16', [1], [1], 'TENSOR_NOT_IN_JSON'],
    ['BF16', [1], [1], 'TENSOR_NOT_IN_JSON'],
    ['FP32', [2], [1], 'TENSOR_DATA'],
    ['FP32', [2, 2], [[1, 2], [3]], 'TENSOR_DATA'],
    ['FP32', [2, 2], [[1, 2, 3, 4]], 'TENSOR_DATA'],
    ['FP32', [2, 2], [[1, 2], 3], 'TENSOR_DATA'],
    ['FP32', [1], [[[1]]], 'TENSOR_DATA'],
    ['FP32', [1], 5, 'TENSOR_DATA'],
    ['FP32', [-1], [1], 'TENSOR_SHAPE'],
    ['FP32', [1.5], [1], 'TENSOR_SHAPE'],
    ['FP32', [1e9, 1e9], [1], 'TENSOR_TOO_LARGE'],
    ['FP32', Array.from({ length: 17 }, () => 1), [1], 'TENSOR_TOO_LARGE'],
  ])('refuses %s %j of %j with %s', (datatype, shape, data, code) => {
    expect(() => fromJson(datatype, shape, data, 'input "x"')).toThrow(coded(code));
  });

  it('keeps 64-bit integers exact', () => {
    const tensor = fromJson('INT64', [3], ['-9223372036854775808', 5, '9007199254740993'], 'x');
    expect(toJson(tensor, 'x')).toEqual(['-9223372036854775808', 5, '9007199254740993']);
  });

  it('says what was expected', () => {
    expect(() => fromJson('INT8', [2], [1, 300], 'input "x"')).toThrow(
      'input "x": element 1 is 300, expected a whole number from -128 to 127 (INT8)',
    );
  });
});

describe('toJson', () => {
  it.each(['FP32', 'FP64'] as const)('writes %s values that are not finite as strings, and reads them back', (datatype) => {
    const written = ['NaN', 'Infinity', '-Infinity', 1.5, -0];
    const tensor = fromJson(datatype, [5], written, 'x');
    expect(JSON.parse(JSON.stringify(toJson(tensor, 'x')))).toEqual(['NaN', 'Infinity', '-Infinity', 1.5, 0]);
  });

  it('refuses what JSON cannot hold', () => {
    const refused = coded('TENSOR_NOT_IN_JSON');
    expect(() => toJson({ datatype: 'FP16', shape: [1], data: new Uint8Array(2) }, 'y')).toThrow(refused);
    expect(() => toJson({ datatype: 'BYTES', shape: [1], data: Uint8Array.of(1, 0, 0, 0, 0xff) }, 'y')).toThrow(refused);
  });
});
