import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { days, minutes, seconds } from '#shared/kernel/time.js';
import { trustedTime } from '#shared/trust/decide/trusted-time.js';

const signed = Date.parse('2026-05-01T12:00:00Z');

describe('trustedTime', () => {
  it.each([
    ['no evidence', { wall: 0, freshestSigned: undefined }, 0, true],
    ['clock after the signed time', { wall: signed + days(300), freshestSigned: signed }, signed + days(300), true],
    ['clock a little behind', { wall: signed - seconds(20), freshestSigned: signed }, signed, true],
    ['clock set back', { wall: 0, freshestSigned: signed }, signed, false],
    ['clock behind what just came', { wall: signed - minutes(10), freshestSigned: undefined, justReceived: signed }, signed, false],
    ['clock ahead of what just came', { wall: signed + days(2), freshestSigned: signed, justReceived: signed }, signed + days(2), false],
    [
      'clock agreeing with what just came',
      { wall: signed + minutes(2), freshestSigned: 0, justReceived: signed },
      signed + minutes(2),
      true,
    ],
  ])('%s', (_name, evidence, now, trusted) => {
    expect(trustedTime(evidence)).toMatchObject({ now, trusted });
  });

  it('never gives a time before any evidence', () => {
    const time = fc.integer({ min: 0, max: 4_102_444_800_000 });
    fc.assert(
      fc.property(time, fc.option(time, { nil: undefined }), fc.option(time, { nil: undefined }), (wall, freshestSigned, justReceived) => {
        const { now } = trustedTime({ wall, freshestSigned, justReceived });
        expect(now).toBe(Math.max(wall, freshestSigned ?? 0, justReceived ?? 0));
      }),
    );
  });
});
