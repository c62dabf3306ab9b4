import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeGolden, encodeGolden } from '#shared/bundle/golden.js';
import { fromBinary, toBinary } from '#shared/tensor/binary.js';
import { joinBytesElements, splitBytesElements } from '#shared/tensor/bytes-elements.js';
import { allclose } from '#shared/tensor/compare.js';
import { DATATYPES, elementSize } from '#shared/tensor/datatype.js';
import { bfloat16ToNumber, halfToNumber, numberToBfloat16, numberToHalf } from '#shared/tensor/half.js';
import { fromJson } from '#shared/tensor/json.js';
import { fromOrt, toOrt } from '#shared/tensor/ort.js';
import { NOT_FINITE } from '#shared/tensor/not-finite.js';
import { readSafetensors, writeSafetensors } from '#shared/tensor/safetensors.js';
import type { Tensor } from '#shared/tensor/tensor.js';
import { outcome } from '../kit/coded.js';
import { toJson } from '../kit/tensor-json.js';

const shapes = fc.array(fc.nat(4), { maxLength: 4 });
const product = (shape: readonly number[]): number => shape.reduce((all, size) => all * size, 1);

/** Any tensor of any datatype, with any bits in it. */
const tensors: fc.Arbitrary<Tensor> = fc.tuple(fc.constantFrom(...DATATYPES), shapes).chain(([datatype, shape]): fc.Arbitrary<Tensor> => {
  const count = product(shape);
  const size = elementSize(datatype);
  const exactly = { minLength: count, maxLength: count };
  if (size === undefined) {
    return fc.array(fc.uint8Array({ maxLength: 12 }), exactly).map((elements) => ({ datatype, shape, data: joinBytesElements(elements) }));
  }
  const bytes = { minLength: count * size, maxLength: count * size };
  return fc.uint8Array(datatype === 'BOOL' ? { ...bytes, max: 1 } : bytes).map((data) => ({ datatype, shape, data }));
});

/** JSON elements that fit the datatype. */
const jsonElements = {
  BOOL: fc.boolean(),
  UINT8: fc.integer({ min: 0, max: 255 }),
  INT16: fc.integer({ min: -32_768, max: 32_767 }),
  UINT32: fc.integer({ min: 0, max: 0xffffffff }),
  INT64: fc.oneof(fc.maxSafeInteger(), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)).map((value) => {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  }),
  UINT64: fc.bigInt(0n, 2n ** 64n - 1n).map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value.toString())),
  FP16: fc.oneof(fc.nat(0xffff).map(halfToNumber).filter(Number.isFinite), fc.constantFrom(...NOT_FINITE)),
  BF16: fc.oneof(fc.nat(0xffff).map(bfloat16ToNumber).filter(Number.isFinite), fc.constantFrom(...NOT_FINITE)),
  FP32: fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(...NOT_FINITE)),
  FP64: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(...NOT_FINITE)),
  BYTES: fc.string({ unit: 'grapheme' }),
} as const;

/** Nests a flat row-major array as its shape says. */
function nest(flat: readonly unknown[], shape: readonly number[]): unknown {
  const [size, ...rest] = shape;
  if (size === undefined) return flat[0];
  const step = product(rest);
  return Array.from({ length: size }, (_, at) => nest(flat.slice(at * step, (at + 1) * step), rest));
}

const jsonTensors = fc
  .tuple(fc.constantFrom(...(Object.keys(jsonElements) as (keyof typeof jsonElements)[])), shapes)
  .chain(([datatype, shape]) => {
    const exactly = { minLength: product(shape), maxLength: product(shape) };
    return fc.record({
      datatype: fc.constant(datatype),
      shape: fc.constant(shape),
      data: fc.array<boolean | number | string>(jsonElements[datatype], exactly),
    });
  });

const exact = { absolute: 0, relative: 0 };

describe('JSON form', () => {
  it('gives back the elements it was made of', () => {
    fc.assert(
      fc.property(jsonTensors, ({ datatype, shape, data }) => {
        expect(JSON.stringify(toJson(fromJson(datatype, shape, data, 't'), 't'))).toBe(JSON.stringify(data));
      }),
    );
  });

  it('takes nested arrays as the same tensor as flat ones', () => {
    const filled = jsonTensors.filter(({ shape, data }) => shape.length > 0 && data.length > 0);
    fc.assert(
      fc.property(filled, ({ datatype, shape, data }) => {
        expect(fromJson(datatype, shape, nest(data, shape), 't')).toEqual(fromJson(datatype, shape, data, 't'));
      }),
    );
  });

  it('either refuses with a code or carries a tensor exactly, whatever its bits', () => {
    fc.assert(
      fc.property(tensors, (tensor) => {
        const written = outcome(() => JSON.parse(JSON.stringify(toJson(tensor, 't'))) as unknown);
        const carried =
          'code' in written
            ? written.code === 'TENSOR_NOT_IN_JSON'
            : allclose(tensor, fromJson(tensor.datatype, tensor.shape, written.value, 't'), exact).agrees;
        expect(carried).toBe(true);
      }),
    );
  });

  it('never throws anything but a coded error for any JSON value', () => {
    const dimensions = fc.array(fc.oneof(fc.integer(), fc.double()), { maxLength: 3 });
    fc.assert(
      fc.property(fc.constantFrom(...DATATYPES), dimensions, fc.jsonValue(), (datatype, shape, data) => {
        const read = outcome(() => fromJson(datatype, shape, data, 't'));
        expect('value' in read || read.code.startsWith('TENSOR_')).toBe(true);
      }),
    );
  });
});

describe('binary forms', () => {
  const names = fc.string({ maxLength: 8 }).filter((name) => name !== '__metadata__');

  it('read back what they wrote: raw, and through the runtime', () => {
    const runnable = tensors.filter((tensor) => tensor.datatype !== 'BF16' && tensor.datatype !== 'BYTES');
    fc.assert(
      fc.property(tensors, runnable, (tensor, other) => {
        expect(fromBinary(tensor.datatype, tensor.shape, toBinary(tensor), 't')).toEqual(tensor);
        expect(fromOrt(toOrt(other, 't'), 't')).toEqual(other);
      }),
    );
  });

  it('read back what they wrote: safetensors and golden samples, always as the same bytes', () => {
    fc.assert(
      fc.property(fc.dictionary(names, tensors, { maxKeys: 4 }), (named) => {
        const file = writeSafetensors(named, { note: 'hello' });
        expect(readSafetensors(file, 'file').tensors).toEqual(named);
        expect(readSafetensors(file, 'file').metadata['note']).toBe('hello');
        expect(writeSafetensors(Object.fromEntries(Object.entries(named).toReversed()), { note: 'hello' })).toEqual(file);
        expect(decodeGolden(encodeGolden({ inputs: named, outputs: named }), 'golden')).toEqual({ inputs: named, outputs: named });
      }),
    );
  });

  it('never read past their bytes and fail only with a code, whatever byte is changed', () => {
    const files = fc.dictionary(names, tensors, { minKeys: 1, maxKeys: 3 }).map((named) => writeSafetensors(named));
    fc.assert(
      fc.property(files, fc.nat(), fc.nat(255), fc.boolean(), (file, at, byte, cut) => {
        const position = at % file.length;
        const damaged = Uint8Array.from(file);
        damaged[position] = byte;
        const read = outcome(() => readSafetensors(cut ? file.subarray(0, position) : damaged, 'file'));
        expect('value' in read || read.code === 'SAFETENSORS_INVALID').toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('split BYTES elements only where they add up', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(6), (data, count) => {
        const split = outcome(() => joinBytesElements(splitBytesElements(data, count, 't')));
        expect(split).toEqual('value' in split ? { value: data } : { code: 'TENSOR_DATA' });
      }),
    );
  });
});

describe.each([
  { name: 'FP16', read: halfToNumber, write: numberToHalf, largest: 65_504, tooLarge: 65_520, steps: 11 },
  { name: 'BF16', read: bfloat16ToNumber, write: numberToBfloat16, largest: 2 ** 128 - 2 ** 120, tooLarge: 2 ** 128 - 2 ** 119, steps: 8 },
])('$name', ({ read, write, largest, tooLarge, steps }) => {
  it('converts every bit pattern to a number and back', () => {
    const patterns = Array.from({ length: 0x10000 }, (_, bits) => bits).filter((bits) => !Number.isNaN(read(bits)));
    expect(patterns.filter((bits) => write(read(bits)) !== bits)).toEqual([]);
    expect(Number.isNaN(read(write(Number.NaN)))).toBe(true);
  });

  it('rounds to the nearest, ties to even', () => {
    const nearest = (value: number): void => {
      const bits = write(value);
      const errorOf = (pattern: number): number => Math.abs(read(pattern) - value);
      const neighbours = [bits - 1, bits + 1].filter((other) => other >= 0 && Number.isFinite(read(other)));
      expect(neighbours.every((other) => errorOf(bits) <= errorOf(other))).toBe(true);
    };
    fc.assert(fc.property(fc.double({ min: -largest, max: largest, noNaN: true }), nearest));
    // Next to a tie, nearer than binary32 can tell.
    fc.assert(fc.property(fc.nat(2 ** steps), fc.double({ min: -1e-9, max: 1e-9, noNaN: true }), (odd, off) => nearest(odd + 0.5 + off)));
    expect(write(2 ** steps + 1)).toBe(write(2 ** steps));
    expect(write(tooLarge)).toBe(write(Number.POSITIVE_INFINITY));
  });
});
