import { describe, expect, it } from 'vitest';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import { DATATYPES, elementSize } from '#shared/tensor/datatype.js';
import { readNpy, writeNpy } from '#shared/tensor/npy.js';
import type { Tensor } from '#shared/tensor/tensor.js';
import { coded } from '../../kit/coded.js';

/** A file as numpy.save writes it: the header given, the data behind it. */
function file(header: string, data: Uint8Array = new Uint8Array(), version = 1): Uint8Array {
  const text = Buffer.from(`${header}\n`, 'utf8');
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(text.length);
  else length.writeUInt32LE(text.length);
  return Buffer.concat([Buffer.from([0x93]), Buffer.from('NUMPY'), Buffer.from([version, 0]), length, text, data]);
}
const header = (descr: string, shape: string, fortran = 'False'): string =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;
const texts = (...elements: string[]): Uint8Array => joinBytesElements(elements.map((element) => Buffer.from(element)));

describe('npy', () => {
  it('writes the bytes that numpy.save writes', () => {
    const bytes = writeNpy({ datatype: 'FP32', shape: [2], data: Uint8Array.of(0, 0, 128, 63, 0, 0, 0, 64) }, 'y');
    expect(Buffer.from(bytes).toString('latin1')).toBe(`\x93NUMPY\x01\0\x76\0${header('<f4', '(2,)').padEnd(117)}\n\0\0\x80\x3f\0\0\0\x40`);
  });

  it('reads back every element type that it writes', () => {
    for (const datatype of DATATYPES) {
      const size = elementSize(datatype);
      const data = size === undefined ? texts('a', '', 'größe', '😀', 'b', 'c') : new Uint8Array(6 * size).fill(1);
      for (const shape of [[6], [2, 3], [1, 6, 1]]) {
        const tensor: Tensor = { datatype, shape, data };
        expect(readNpy(writeNpy(tensor, 'x'), 'x'), datatype).toEqual(tensor);
      }
    }
    const scalar: Tensor = { datatype: 'INT64', shape: [], data: new Uint8Array(8) };
    expect(readNpy(writeNpy(scalar, 'x'), 'x')).toEqual(scalar);
    const empty: Tensor = { datatype: 'BYTES', shape: [0, 4], data: new Uint8Array() };
    expect(readNpy(writeNpy(empty, 'x'), 'x')).toEqual(empty);
  });

  it('keeps byte strings that are not UTF-8 as they are', () => {
    const tensor: Tensor = { datatype: 'BYTES', shape: [2], data: joinBytesElements([Uint8Array.of(0xff, 1), Uint8Array.of(7)]) };
    expect(readNpy(writeNpy(tensor, 'x'), 'x')).toEqual(tensor);
  });

  it('reads what other writers make: big-endian numbers, version 3, members in another order, Python 2 sizes, void for bfloat16', () => {
    expect(readNpy(file(header('>i4', '(1, 2L)'), Uint8Array.of(0, 0, 0, 1, 0, 0, 1, 0)), 'x')).toEqual({
      datatype: 'INT32',
      shape: [1, 2],
      data: Uint8Array.of(1, 0, 0, 0, 0, 1, 0, 0),
    });
    expect(readNpy(file(`{"shape": (), "fortran_order": False, "descr": "|V2"}`, Uint8Array.of(0x80, 0x3f), 3), 'x')).toMatchObject({
      datatype: 'BF16',
      shape: [],
    });
    const big = Buffer.from([0, 0, 0, 0x61, 0, 0, 0, 0]);
    expect(readNpy(file(header('>U2', '(1,)'), big), 'x').data).toEqual(texts('a'));
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['a file of another kind', Buffer.from('PK\x03\x04'), /does not begin as one/],
    ['an unknown version', file(header('<f4', '()'), new Uint8Array(4), 9), /version 9/],
    ['a header cut short', file(header('<f4', '()')).subarray(0, 40), /ends within its header/],
    ['a huge header', file(header('<f4', '()').padEnd(70_000), new Uint8Array(4), 2), /header has 7\d+ bytes/],
    ['no dictionary', file('[1, 2]'), /no dictionary/],
    ['a member missing', file("{'descr': '<f4', 'shape': (1,)}"), /lacks/],
    ['Fortran order', file(header('<f4', '(2, 2)', 'True'), new Uint8Array(16)), /Fortran order; save numpy.ascontiguousarray/],
    ['objects', file(header('|O', '(1,)'), Uint8Array.of(0x80)), /Python objects, which are pickled/],
    ['complex numbers', file(header('<c8', '(1,)'), new Uint8Array(8)), /complex numbers/],
    ['dates', file(header('<M8[ns]', '(1,)'), new Uint8Array(8)), /"<M8\[ns\]"/],
    ['records', file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", new Uint8Array(4)), /records/],
    ['a shape that is none', file(header('<f4', '(-1,)')), /its shape/],
    ['too little data', file(header('<f4', '(2,)'), new Uint8Array(4)), /takes 8 bytes, the data has 4/],
    ['more than one array', file(header('<f4', '(1,)'), new Uint8Array(9)), /takes 4 bytes, the data has 9/],
    ['a shape beyond any size', file(header('<f4', '(1000000000, 1000000000)')), /more than the accepted/],
    ['text cut short', file(header('<U3', '(2,)'), new Uint8Array(12)), /take 24 bytes, the file has 12/],
    ['text that is none', file(header('<U1', '(1,)'), Uint8Array.of(0, 0xd8, 0, 0)), /no character/],
    ['truth values other than 0 and 1', file(header('|b1', '(1,)'), Uint8Array.of(2)), /must be 0 or 1/],
  ])('refuses %s', (_name, bytes, message) => {
    expect(() => readNpy(bytes, 'x.npy')).toThrow(coded('NPY_INVALID', message));
  });

  it('refuses to write text that NumPy would alter or that would grow without bound', () => {
    expect(() => writeNpy({ datatype: 'BYTES', shape: [1], data: texts('a\0') }, 'y')).toThrow(coded('NPY_INVALID', /ends with a NUL/));
    const uneven = joinBytesElements([new Uint8Array(1_000_000).fill(0x61), ...Array.from({ length: 99 }, () => new Uint8Array())]);
    expect(() => writeNpy({ datatype: 'BYTES', shape: [100], data: uneven }, 'y')).toThrow(coded('NPY_INVALID', /write safetensors/));
  });
});
