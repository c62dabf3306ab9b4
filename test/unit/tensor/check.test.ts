import { describe, expect, it } from 'vitest';
import { checkTensors } from '#shared/tensor/check.js';
import { allclose, compareOutputs } from '#shared/tensor/compare.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { NamedTensors, Tensor, TensorSpec } from '#shared/tensor/tensor.js';
import { coded } from '../../kit/coded.js';

const specs: TensorSpec[] = [
  { name: 'x', datatype: 'FP32', shape: [-1, 4] },
  { name: 'sr', datatype: 'INT64', shape: [] },
];
const fp32 = (values: number[], shape = [values.length]): Tensor => ({
  datatype: 'FP32',
  shape,
  data: new Uint8Array(Float32Array.from(values).buffer),
});
const int64 = (...values: bigint[]): Tensor => ({
  datatype: 'INT64',
  shape: [values.length],
  data: new Uint8Array(BigInt64Array.from(values).buffer),
});
const x = fp32([1, 2, 3, 4], [1, 4]);
const sr: Tensor = { ...int64(16000n), shape: [] };

describe('checkTensors', () => {
  it('accepts what fits, -1 taking any size', () => {
    expect(() => checkTensors(specs, { x, sr })).not.toThrow();
    expect(() => checkTensors(specs, { x: fp32([], [0, 4]), sr })).not.toThrow();
  });

  it.each<[NamedTensors, ErrorCode, string]>([
    [{ x, sr, z: x }, 'TENSOR_UNKNOWN', 'there is no input "z", expected x FP32 [-1,4], sr INT64 []'],
    [{ x }, 'TENSOR_MISSING', 'input "sr" is missing, expected INT64 []'],
    [{ x: { ...x, datatype: 'INT32' as const }, sr }, 'TENSOR_DATATYPE', 'input "x" is INT32, expected FP32 [-1,4]'],
    [{ x: fp32([1, 2, 3], [1, 3]), sr }, 'TENSOR_SHAPE', 'input "x" has shape [1,3], expected FP32 [-1,4]'],
    [{ x: fp32([1, 2, 3, 4]), sr }, 'TENSOR_SHAPE', 'input "x" has shape [4], expected FP32 [-1,4]'],
    [{ x, constructor: x, sr }, 'TENSOR_UNKNOWN', 'there is no input "constructor"'],
  ])('refuses case %#', (inputs, code, message) => {
    expect(() => checkTensors(specs, inputs)).toThrow(coded(code, message));
  });

  it('lists every problem at once', () => {
    expect(() => checkTensors(specs, { y: x })).toThrow(/"y".*"x" is missing.*"sr" is missing/);
  });
});

describe('allclose', () => {
  const tolerance = { absolute: 0.1, relative: 0.1 };

  it('agrees within absolute + relative * |expected|', () => {
    expect(allclose(fp32([0, 10]), fp32([0.09, 11.05]), tolerance).agrees).toBe(true);
    const off = allclose(fp32([0, 10, 1]), fp32([0.2, 12, 1]), tolerance);
    expect(off).toMatchObject({ agrees: false, mismatches: 2, maxError: 2, worst: { index: 1, expected: '10', actual: '12' } });
    expect(off.reason).toContain('differs in 2 of 3 elements, most at element 1: 12 instead of 10');
  });

  it('takes NaN as equal only to NaN, and infinities only to themselves', () => {
    expect(allclose(fp32([NaN, Infinity]), fp32([NaN, Infinity]), tolerance).agrees).toBe(true);
    expect(allclose(fp32([NaN]), fp32([0]), tolerance).agrees).toBe(false);
    expect(allclose(fp32([0]), fp32([NaN]), tolerance)).toMatchObject({ agrees: false, maxError: Infinity });
    expect(allclose(fp32([Infinity]), fp32([-Infinity]), tolerance).agrees).toBe(false);
    expect(allclose(fp32([1]), fp32([Infinity]), tolerance).agrees).toBe(false);
    expect(allclose(fp32([Infinity]), fp32([1]), tolerance).agrees).toBe(false);
  });

  it('fails closed on a tolerance that is not a number', () => {
    expect(allclose(fp32([1]), fp32([2]), { absolute: NaN, relative: 0 }).agrees).toBe(false);
  });

  it('compares 64-bit integers exactly, halves by value, text and booleans as equal or not', () => {
    expect(allclose(int64(2n ** 62n), int64(2n ** 62n + 1n), { absolute: 0, relative: 0 })).toMatchObject({ agrees: false, maxError: 1 });
    const half = (bits: number): Tensor => ({ datatype: 'FP16', shape: [1], data: new Uint8Array(Uint16Array.of(bits).buffer) });
    expect(allclose(half(0x3c00), half(0x3c01), { absolute: 0.001, relative: 0 })).toMatchObject({ agrees: true, maxError: 2 ** -10 });
    const bool = (value: number): Tensor => ({ datatype: 'BOOL', shape: [1], data: Uint8Array.of(value) });
    expect(allclose(bool(0), bool(1), { absolute: 5, relative: 5 }).agrees).toBe(false);
    const text = (byte: number): Tensor => ({ datatype: 'BYTES', shape: [1], data: Uint8Array.of(1, 0, 0, 0, byte) });
    expect(allclose(text(65), text(65), tolerance).agrees).toBe(true);
    expect(allclose(text(65), text(66), tolerance).reason).toContain('"B" instead of "A"');
  });

  it('never agrees on another shape or datatype', () => {
    expect(allclose(x, fp32([1, 2, 3, 4]), tolerance).reason).toBe('is FP32 [4], expected FP32 [1,4]');
  });

  it('compares integers, booleans and strings exactly unless an absolute tolerance names the output: a wrong id next to the right one is wrong', () => {
    const wide = { absolute: 100, relative: 0.5 };
    const named = { ...wide, outputs: [{ name: 'ids', absolute: 1, relative: 0 }] };
    const own = { ids: int64(30_000n) };
    expect(compareOutputs(own, { ids: int64(30_025n) }, wide)).toMatchObject({
      agrees: false,
      reason: expect.stringMatching(/output "ids" differs .* 30025 instead of 30000 .*; integers must be equal$/) as string,
    });
    expect(compareOutputs(own, { ids: int64(30_001n) }, named).agrees).toBe(true);
    expect(compareOutputs(own, { ids: int64(30_002n) }, named).reason).toContain('allowed: 1');
    const far: Tensor = { datatype: 'UINT64', shape: [1], data: new Uint8Array(BigUint64Array.of(2n ** 64n - 1n).buffer) };
    const near: Tensor = { datatype: 'UINT64', shape: [1], data: new Uint8Array(BigUint64Array.of(2n ** 64n - 2n).buffer) };
    expect([compareOutputs({ y: far }, { y: far }, wide).agrees, compareOutputs({ y: far }, { y: near }, wide).agrees]).toEqual([
      true,
      false,
    ]);
    const byte = (datatype: 'UINT8' | 'BOOL', value: number): Tensor => ({ datatype, shape: [1], data: Uint8Array.of(value) });
    expect(compareOutputs({ y: byte('UINT8', 7) }, { y: byte('UINT8', 8) }, wide).agrees).toBe(false);
    const boolean = { ...wide, outputs: [{ name: 'y', absolute: 1, relative: 1 }] };
    expect(compareOutputs({ y: byte('BOOL', 0) }, { y: byte('BOOL', 1) }, boolean).agrees).toBe(false);
    expect(compareOutputs({ y: fp32([-0]) }, { y: fp32([0]) }, { absolute: 0, relative: 0 }).agrees).toBe(true);
  });

  it('gives a floating-point output the tolerance that names it, narrower or wider than the general one', () => {
    const tolerances = { absolute: 0.1, relative: 0, outputs: [{ name: 'narrow', absolute: 0.01, relative: 0 }] };
    const both = (value: number): NamedTensors => ({ narrow: fp32([1]), other: fp32([value]) });
    expect(compareOutputs(both(1), both(1.05), tolerances).agrees).toBe(true);
    expect(compareOutputs({ narrow: fp32([1]) }, { narrow: fp32([1.05]) }, tolerances).reason).toContain('allowed: 0.01 + 0 x |expected|');
  });

  it('compares all outputs, by name', () => {
    expect(compareOutputs({ y: x }, { y: x }, tolerance).agrees).toBe(true);
    expect(compareOutputs({ y: x }, {}, tolerance).reason).toBe('output "y" is missing');
    expect(compareOutputs({}, { y: x }, tolerance).reason).toBe('output "y" was not expected');
    const differing = compareOutputs({ a: x, b: fp32([1]) }, { a: x, b: fp32([5]) }, tolerance);
    expect(differing).toMatchObject({ agrees: false, maxError: 4 });
    expect(differing.reason).toContain('output "b"');
  });
});
