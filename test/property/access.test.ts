import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchesGlob } from '#agent/serve/access/decide/glob.js';
import { type Grant, refusalOf } from '#agent/serve/access/decide/rights.js';
import { fullBucket, type Rate, takeToken } from '#agent/serve/access/decide/token-bucket.js';
import { RateLimiter } from '#agent/serve/access/rate-limiter.js';
import { readToken } from '#agent/serve/access/tokens/token.js';
import { CALL_GROUPS } from '#agent/serve/requests.js';
import { VirtualClock } from '../kit/virtual-clock.js';

const rate = fc.record({ perSecond: fc.double({ min: 0.1, max: 1000, noNaN: true }), burst: fc.integer({ min: 1, max: 500 }) });
const moments = fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 200 });

/** Moments at which a request was let through. */
function letThrough(pauses: readonly number[], given: Rate): number[] {
  let now = 0;
  let bucket = fullBucket(given, now);
  const passed: number[] = [];
  for (const pause of pauses) {
    now += pause;
    const taken = takeToken(bucket, given, now);
    bucket = taken.bucket;
    if (taken.wait === undefined) passed.push(now);
  }
  return passed;
}

test('in no span of time pass more requests than the burst and what flows in', () => {
  fc.assert(
    fc.property(rate, moments, (given, pauses) => {
      const passed = letThrough(pauses, given);
      for (const [first, from] of passed.entries()) {
        for (const [last, to] of passed.entries()) {
          if (last < first) continue;
          expect(last - first + 1).toBeLessThanOrEqual(given.burst + ((to - from) / 1000) * given.perSecond + 1e-6);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test('who waits as long as it is told is let through, and not before', () => {
  fc.assert(
    fc.property(rate, fc.integer({ min: 1, max: 600 }), (given, requests) => {
      let bucket = fullBucket(given, 0);
      for (let i = 0; i < requests; i++) bucket = takeToken(bucket, given, 0).bucket;
      const refused = takeToken(bucket, given, 0);
      if (refused.wait === undefined) return;
      expect(takeToken(refused.bucket, given, refused.wait * 0.99).wait).toBeGreaterThan(0);
      expect(takeToken(refused.bucket, given, refused.wait * 1.001 + 0.001).wait).toBeUndefined();
    }),
  );
});

test('a clock that goes back gives no tokens', () => {
  const given = { perSecond: 1, burst: 1 };
  const { bucket } = takeToken(fullBucket(given, 1_000), given, 1_000);
  const back = takeToken(bucket, given, 0);
  expect(back.wait).toBe(1_000);
  expect(takeToken(back.bucket, given, 1_000).wait).toBe(1_000);
});

test('the table of clients is bounded, and the ones that ask keep their place', () => {
  const clock = new VirtualClock();
  const limiter = new RateLimiter(clock);
  const slow = { perSecond: 0.001, burst: 1 };
  expect(limiter.take('me', slow)).toBeUndefined();
  const waits: unknown[] = [];
  for (let i = 0; i < 20_000; i++) {
    limiter.take(`other ${i}`, slow);
    if (i % 1_000 === 0) waits.push(limiter.take('me', slow));
  }
  expect(waits).not.toContain(undefined);
  expect(limiter.take('other 19999', slow)).toBeGreaterThan(0);
  expect(limiter.take('other 0', slow)).toBeUndefined();
});

const names = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8 });
const globs = fc.string({ unit: fc.constantFrom('a', 'b', '-', '*'), maxLength: 8 });

test('a glob matches what the regular expression of the same meaning matches', () => {
  fc.assert(
    fc.property(globs, names, (glob, name) => {
      expect(matchesGlob(glob, name)).toBe(new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(name));
    }),
    { numRuns: 2_000 },
  );
  expect(matchesGlob('a.c', 'abc')).toBe(false);
});

const grants = fc.array(
  fc.record({
    calls: fc.uniqueArray(fc.constantFrom(...CALL_GROUPS)).map((calls) => new Set(calls)),
    models: fc.array(globs, { maxLength: 3 }),
  }),
  { maxLength: 4 },
) satisfies fc.Arbitrary<Grant[]>;
const call = fc.constantFrom(...CALL_GROUPS);

test('a right is a grant that names the call and covers the model; more grants never take one away', () => {
  fc.assert(
    fc.property(grants, grants, call, names, (held, more, asked, model) => {
      const allowed = refusalOf(held, asked, model) === undefined;
      const covering = held.filter(({ calls, models }) => calls.has(asked) && models.some((glob) => matchesGlob(glob, model)));
      const wholeAgent = ['management', 'settings', 'shared-memory'].includes(asked);
      expect(allowed).toBe(covering.some(({ models }) => !wholeAgent || models.includes('*')));
      const refusedThen = [refusalOf([...held, ...more], asked, model), refusalOf(held, asked, undefined)];
      // Before the model is known no more is refused than once it is.
      expect(allowed ? refusedThen : [undefined, undefined]).toEqual([undefined, undefined]);
    }),
    { numRuns: 2_000 },
  );
});

test('whatever is sent as a token, it is read or it is none', () => {
  const part = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      const token = readToken(parts.join('.'));
      expect(typeof (token?.claims.exp ?? 0)).toBe('number');
    }),
  );
});
