import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { slice, sliceCount, sliceOrder, slicePosition } from '#hub/rollouts/decide/slice.js';

const devices = fc.uniqueArray(fc.stringMatching(/^[a-z0-9-]{1,12}$/), { maxLength: 60 });
const seed = fc.string({ maxLength: 20 });
const percent = fc.double({ min: 0, max: 100, noNaN: true });

describe('slice', () => {
  it('nests: a smaller slice lies inside a larger one', () => {
    fc.assert(
      fc.property(seed, devices, percent, percent, (s, list, a, b) => {
        const small = slice(s, list, { percent: Math.min(a, b) });
        const large = slice(s, list, { percent: Math.max(a, b) });
        expect(large.slice(0, small.length)).toEqual(small);
        expect(slice(s, list, { percent: 100 })).toHaveLength(list.length);
      }),
    );
  });

  it('does not depend on the order of the devices', () => {
    fc.assert(
      fc.property(seed, devices, fc.nat(), (s, list, count) => {
        expect(slice(s, list.toReversed(), { count })).toEqual(slice(s, list, { count }));
      }),
    );
  });

  it('keeps the order of the others when devices join or leave', () => {
    fc.assert(
      fc.property(seed, devices, devices, (s, list, joining) => {
        const before = sliceOrder(s, list);
        const after = sliceOrder(s, [...list, ...joining]);
        expect(after.filter((device) => list.includes(device))).toEqual(before);
      }),
    );
  });

  it('is spread evenly and differs between rollouts', () => {
    const list = Array.from({ length: 20_000 }, (_, i) => `device-${i}`);
    const below = list.filter((device) => slicePosition('r1', device) < 0.1);
    expect(below.length).toBeGreaterThan(1850);
    expect(below.length).toBeLessThan(2150);
    const other = below.filter((device) => slicePosition('r2', device) < 0.1).length;
    expect(other).toBeGreaterThan(150);
    expect(other).toBeLessThan(250);
  });

  it('takes at least one device for any percent above 0', () => {
    expect(sliceCount(3, { percent: 1 })).toBe(1);
    expect(sliceCount(100, { percent: 7 })).toBe(7);
    expect(sliceCount(1000, { percent: 2.5 })).toBe(25);
    expect(sliceCount(3, { percent: 0 })).toBe(0);
    expect(sliceCount(3, { count: 5 })).toBe(3);
    expect(sliceCount(0, { percent: 50 })).toBe(0);
  });
});
