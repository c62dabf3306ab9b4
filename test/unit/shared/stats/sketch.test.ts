import { describe, expect, it } from 'vitest';
import { QuantileSketch } from '#shared/stats/sketch.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('QuantileSketch', () => {
  it('is empty at first', () => {
    const sketch = new QuantileSketch();
    expect([sketch.count, sketch.sum, sketch.min, sketch.max, sketch.mean, sketch.quantile(0.5)]).toEqual([
      0,
      0,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(hex(sketch.encode())).toBe('01000000');
  });

  it('has locked bytes', () => {
    const sketch = new QuantileSketch();
    for (const v of [0, 1, 1, 2.5, 1000, -3]) sketch.add(v);
    sketch.add(0.1, 300);
    expect(hex(sketch.encode())).toMatchInlineSnapshot(
      `"0101016e0104e501ac0272022d01ab020100000000000008c00000000000408f400200000000001e9040000000000000de3c"`,
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1e151])('refuses the value %s', (v) => {
    expect(() => new QuantileSketch().add(v)).toThrow(expect.objectContaining({ code: 'SKETCH_VALUE' }));
  });

  it.each([0, -1, 0.5, Number.NaN, 2 ** 60])('refuses the weight %s', (weight) => {
    expect(() => new QuantileSketch().add(1, weight)).toThrow(expect.objectContaining({ code: 'SKETCH_VALUE' }));
  });

  it('refuses to count beyond 2^53 and stays as it was', () => {
    const sketch = new QuantileSketch();
    sketch.add(1, Number.MAX_SAFE_INTEGER);
    const before = hex(sketch.encode());
    expect(() => sketch.add(2)).toThrow(expect.objectContaining({ code: 'SKETCH_VALUE' }));
    expect(() => sketch.merge(sketch.clone())).toThrow(expect.objectContaining({ code: 'SKETCH_VALUE' }));
    expect(hex(sketch.encode())).toBe(before);
  });

  it.each([
    ['', 'nothing'],
    ['02000000', 'another version'],
    ['0100000000', 'a byte too many'],
    ['0180000000', 'an integer not in its shortest form'],
    ['01ffffffffffffffff7f0000', 'an integer beyond 2^53'],
    ['010000ff0f', 'bins that are not there'],
  ])('refuses %s: %s', (text) => {
    expect(() => QuantileSketch.decode(Buffer.from(text, 'hex'))).toThrow(expect.objectContaining({ code: 'SKETCH_INVALID' }));
  });
});
