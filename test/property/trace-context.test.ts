import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatTraceparent, isInRatio, parseTraceparent } from '#agent/serve/tracing/decide/trace-context.js';

const hex = (length: number): fc.Arbitrary<string> =>
  fc
    .string({ unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: length, maxLength: length })
    .filter((text) => /[^0]/.test(text));

test('what is written is read again', () => {
  const context = fc.record({ traceId: hex(32), spanId: hex(16), sampled: fc.boolean() });
  fc.assert(
    fc.property(context, (one) => {
      expect(parseTraceparent(formatTraceparent(one))).toEqual(one);
    }),
  );
});

test('whatever comes, it is read or it is none', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(parseTraceparent(text)).toBe(undefined);
    }),
  );
  const good = '0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331';
  const bad = [
    `00-${good}-01-more`,
    `ff-${good}-01`,
    `00-${good}`,
    `00-${good.toUpperCase()}-01`,
    `0-${good}-01`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
  ];
  expect(bad.map((text) => parseTraceparent(text))).toEqual(bad.map(() => undefined));
  expect(parseTraceparent(`01-${good}-03-more`)).toMatchObject({ sampled: true });
});

test('a ratio keeps its share, all or nothing at its ends, and what a smaller one keeps', () => {
  fc.assert(
    fc.property(hex(32), fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (id, a, b) => {
      expect([isInRatio(id, 0), isInRatio(id, 1)]).toEqual([false, true]);
      expect(isInRatio(id, Math.min(a, b)) && !isInRatio(id, Math.max(a, b))).toBe(false);
    }),
  );
  const ids = fc.sample(hex(32), { numRuns: 2_000, seed: 1 });
  expect(Math.abs(ids.filter((id) => isInRatio(id, 0.25)).length - 500)).toBeLessThan(100);
});
