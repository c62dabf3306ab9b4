import { describe, expect, it } from 'vitest';
import { readSafetensors, writeSafetensors } from '#shared/tensor/safetensors.js';
import { coded } from '../../kit/coded.js';

function file(header: unknown, data: Uint8Array = new Uint8Array(), claimed?: bigint): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(json.length));
  return Buffer.concat([length, json, data]);
}
const f32 = (begin: number, end: number, shape: number[]) => ({ dtype: 'F32', shape, data_offsets: [begin, end] });

describe('safetensors', () => {
  it('writes the bytes of the format', () => {
    const bytes = writeSafetensors({ a: { datatype: 'UINT8', shape: [2], data: Uint8Array.of(1, 2) } });
    expect(Buffer.from(bytes).toString('latin1')).toBe(
      '8\0\0\0\0\0\0\0{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   \u0001\u0002',
    );
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['shorter than its length', Uint8Array.of(1, 2), /8-byte header length/],
    ['a huge header', file('{}', new Uint8Array(), 2n ** 63n), /header claims/],
    ['a header past the end', file('{}', new Uint8Array(), 100n), /the file has 10/],
    ['no object', file('[]'), /does not begin with/],
    ['no JSON', file('{a'), /not JSON/],
    ['an unknown dtype', file({ a: { dtype: 'F8', shape: [1], data_offsets: [0, 1] } }, Uint8Array.of(1)), /tensor "a" is not described/],
    ['offsets past the end', file({ a: f32(0, 8, [2]) }, new Uint8Array(4)), /within 4 bytes/],
    ['offsets backwards', file({ a: f32(4, 0, [1]) }, new Uint8Array(4)), /offsets \[4,0\]/],
    ['an overlap', file({ a: f32(0, 4, [1]), b: f32(0, 4, [1]) }, new Uint8Array(4)), /expected to begin at 4/],
    ['a hole', file({ a: f32(0, 4, [1]), b: f32(8, 12, [1]) }, new Uint8Array(12)), /expected to begin at 4/],
    ['bytes of no tensor', file({ a: f32(0, 4, [1]) }, new Uint8Array(8)), /4 bytes of its data belong to no tensor/],
    ['a shape that does not fit', file({ a: f32(0, 4, [2]) }, new Uint8Array(4)), /takes 8 bytes/],
    ['a shape beyond any size', file({ a: f32(0, 4, [1e9, 1e9]) }, new Uint8Array(4)), /more than the accepted/],
    ['metadata that is not text', file({ __metadata__: { a: 1 } }), /__metadata__/],
  ])('refuses %s', (_name, bytes, message) => {
    expect(() => readSafetensors(bytes, 'golden')).toThrow(coded('SAFETENSORS_INVALID', message));
  });
});
