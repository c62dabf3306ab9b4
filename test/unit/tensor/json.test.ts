import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { fromJson } from '#shared/tensor/json.js';
import { jsonPieces } from '#shared/tensor/json-write.js';
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
    ['FP16', [1], [65_520], 'TENSOR_DATA'],
    ['FP16', [1], ['1'], 'TENSOR_DATA'],
    ['BF16', [1], [3.4e38], 'TENSOR_DATA'],
    ['BF16', [1], [true], 'TENSOR_DATA'],
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
  it.each([
    ['FP16', 65_519.9, 65_504],
    ['BF16', 3.39e38, 2 ** 128 - 2 ** 120],
    ['FP32', 3.402_823_5e38, 2 ** 128 - 2 ** 104],
    ['FP64', 1e308, 1e308],
  ] as const)('rounds a number to the nearest that %s has, up to its largest', (datatype, value, nearest) => {
    expect(toJson(fromJson(datatype, [1], [value], 'x'))).toEqual([nearest]);
  });

  it.each([
    ['FP16', 2 ** -10],
    ['BF16', 2 ** -7],
    ['FP32', 2 ** -23],
  ] as const)('rounds a tie of %s to even, and what lies just beyond a tie away from it', (datatype, step) => {
    const values = [1 + step / 2, 1 + (3 * step) / 2, 1 + step / 2 + 2 ** -50];
    expect(toJson(fromJson(datatype, [3], values, 'x'))).toEqual([1, 1 + 2 * step, 1 + step]);
  });

  it.each(['FP16', 'BF16', 'FP32', 'FP64'] as const)('writes %s values that are not finite as strings, and reads them back', (datatype) => {
    const written = ['NaN', 'Infinity', '-Infinity', 1.5, -0];
    const tensor = fromJson(datatype, [5], written, 'x');
    expect(JSON.parse(JSON.stringify(toJson(tensor, 'x')))).toEqual(['NaN', 'Infinity', '-Infinity', 1.5, 0]);
    expect([...jsonPieces(tensor)].join('')).toBe('["NaN","Infinity","-Infinity",1.5,-0.0]');
  });

  it('writes all digits of 64-bit integers, as numbers or as strings', () => {
    const tensor = fromJson('UINT64', [2], ['18446744073709551615', 7], 'x');
    expect([...jsonPieces(tensor)].join('')).toBe('[18446744073709551615,7]');
    expect([...jsonPieces(tensor, 'strings')].join('')).toBe('["18446744073709551615",7]');
  });

  it('refuses what JSON cannot hold', () => {
    const refused = coded('TENSOR_NOT_IN_JSON');
    expect(() => toJson({ datatype: 'BYTES', shape: [1], data: Uint8Array.of(1, 0, 0, 0, 0xff) }, 'y')).toThrow(refused);
  });
});
