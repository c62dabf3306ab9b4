import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as bitmap from '#shared/bundle/bitmap.js';

describe('bitmap', () => {
  it('puts index i at bit (i & 7) of byte (i >> 3)', () => {
    const bits = bitmap.emptyBitmap(12);
    bitmap.setBit(bits, 0);
    bitmap.setBit(bits, 10);
    expect([...bits]).toEqual([0b1, 0b100]);
    expect([...bitmap.fullBitmap(12)]).toEqual([0xff, 0x0f]);
    bitmap.clearBit(bits, 0);
    bitmap.setBit(bits, 99);
    expect([...bitmap.bitIndices(bits)]).toEqual([10]);
    expect(bitmap.hasBit(bits, 99)).toBe(false);
  });

  it('behaves as a set of indices, through base64 and back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.array(fc.nat(499)), (size, raw) => {
        const indices = new Set(raw.filter((index) => index < size));
        const bits = bitmap.emptyBitmap(size);
        for (const index of indices) bitmap.setBit(bits, index);
        const back = bitmap.bitmapFromBase64(bitmap.bitmapToBase64(bits), size)!;
        expect([...bitmap.bitIndices(back)]).toEqual([...indices].sort((a, b) => a - b));
        expect(bitmap.countBits(back)).toBe(indices.size);
        for (let index = 0; index < size; index++) expect(bitmap.hasBit(back, index)).toBe(indices.has(index));
        expect(bitmap.countBits(bitmap.fullBitmap(size))).toBe(size);
      }),
    );
  });

  it('refuses text of another size, text that is not base64, and bits past the end', () => {
    expect(bitmap.bitmapFromBase64('AAA=', 17)).toBeUndefined();
    expect(bitmap.bitmapFromBase64('????', 24)).toBeUndefined();
    expect(bitmap.bitmapFromBase64('//8=', 12)).toBeUndefined();
    expect(bitmap.bitmapFromBase64('/w8=', 12)).toEqual(bitmap.fullBitmap(12));
  });
});
