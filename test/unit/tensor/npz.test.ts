import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { writeNpy } from '#shared/tensor/npy.js';
import { isZip, readNpz } from '#shared/tensor/npz.js';
import { fp32 } from '../../kit/servables.js';
import { coded } from '../../kit/coded.js';
import { zipFile } from '../../kit/zip-file.js';

const one = writeNpy(fp32([2], [1, 2]), 'one');

describe('npz', () => {
  it('is read under the names of its arrays, stored or compressed, with whatever stands behind it', () => {
    const many = writeNpy(fp32([1000], new Float32Array(1000)), 'many');
    for (const compress of [false, true]) {
      const file = zipFile({ 'x.npy': one, 'inputs/deep/y.npy': many }, { compress, comment: 'made by hand' });
      expect(isZip(file)).toBe(true);
      const tensors = readNpz(file, 'in.npz');
      expect(Object.keys(tensors)).toEqual(['x', 'inputs/deep/y']);
      expect(tensors['x']).toEqual(fp32([2], [1, 2]));
      expect(tensors['inputs/deep/y']?.shape).toEqual([1000]);
    }
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['a file cut short', zipFile({ 'x.npy': one }).subarray(0, 60), /no list of files at its end/],
    ['a damaged list', zipFile({ 'x.npy': one }, { directoryAt: 3 }), /list of files is damaged/],
    ['a file outside of it', zipFile({ 'x.npy': one }, { localAt: 99_999 }), /is damaged/],
    ['an encrypted file', zipFile({ 'x.npy': one }, { flags: 1 }), /encrypted/],
    ['another compression', zipFile({ 'x.npy': one }, { method: 14 }), /method 14/],
    ['more than was announced', zipFile({ 'x.npy': deflateRawSync(Buffer.alloc(100_000)) }, { method: 8, size: 10 }), /cannot be unpacked/],
    ['less than was announced', zipFile({ 'x.npy': deflateRawSync(one) }, { method: 8, size: 5000 }), /has 136 bytes, 5000 were announced/],
    ['more than is accepted', zipFile({ 'x.npy': one }, { size: 0x7fffffff }), /more than/],
  ])('refuses %s', (_name, bytes, message) => {
    expect(() => readNpz(bytes, 'in.npz')).toThrow(coded('NPZ_INVALID', message));
  });

  it('names the array that cannot be read', () => {
    expect(() => readNpz(zipFile({ 'x.npy': Buffer.from('no array') }), 'in.npz')).toThrow(coded('NPY_INVALID', /x\.npy in in\.npz/));
  });
});
