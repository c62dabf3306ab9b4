import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TrafficPolicy } from '#agent/inference/contract.js';
import { direct, positionOf } from '#agent/inference/servables/traffic.js';
import { versionNumber } from '../kit/servables.js';

const [old, candidate] = [versionNumber(1), versionNumber(2)];
const policy = (rest: Partial<TrafficPolicy>): TrafficPolicy => ({
  candidate,
  action: 'split',
  share: 0.3,
  sticky: 'key',
  salt: 'rollout:r1',
  ...rest,
});
const share = fc.double({ min: 0, max: 1, noNaN: true });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const text = fc.string({ maxLength: 40 });

describe('direct', () => {
  test('a key stays where it is, whatever else is drawn', () => {
    fc.assert(
      fc.property(text, text, share, random, random, text, text, (key, salt, part, one, other, device, another) => {
        const split = policy({ share: part, salt });
        expect(direct(old, split, { key, random: one }, device)).toEqual(direct(old, split, { key, random: other }, another));
      }),
    );
  });

  test('by device, every request of a device goes one way, with keys and without', () => {
    fc.assert(
      fc.property(text, share, fc.array(fc.record({ key: fc.option(text, { nil: undefined }), random })), (device, part, requests) => {
        const split = policy({ share: part, sticky: 'device' });
        expect(new Set(requests.map((request) => direct(old, split, request, device).answers)).size).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('raising the share only moves keys towards the candidate', () => {
    fc.assert(
      fc.property(text, share, share, (key, a, b) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)].map((part) => direct(old, policy({ share: part }), { key, random: 0 }, ''));
        expect(less?.answers ?? 0).toBeLessThanOrEqual(more?.answers ?? 0);
      }),
    );
  });

  test('a shadow never answers, and sees requests only by its share', () => {
    fc.assert(
      fc.property(share, random, (part, drawn) => {
        const { answers, shadow } = direct(old, policy({ action: 'shadow', share: part }), { key: 'k', random: drawn }, 'd');
        expect(answers).toBe(old);
        expect(shadow).toBe(drawn < part ? candidate : undefined);
      }),
    );
  });

  test.each([0, 0.01, 0.1, 0.5, 0.9, 1])('a share of %d is met within what chance explains', (part) => {
    const keys = 20_000;
    for (const salt of ['rollout:a', 'rollout:b']) {
      let taken = 0;
      for (let i = 0; i < keys; i++) {
        const split = policy({ share: part, salt });
        if (direct(old, split, { key: `user-${i}`, random: 0 }, '').answers === candidate) taken++;
      }
      // Five standard deviations of a binomial count; the hash is fixed, so this holds or it does not.
      expect(Math.abs(taken - part * keys)).toBeLessThanOrEqual(5 * Math.sqrt(part * (1 - part) * keys));
    }
  });

  test('two salts choose independently', () => {
    const keys = Array.from({ length: 10_000 }, (_, i) => `user-${i}`);
    const both = keys.filter((key) => positionOf('a', key) < 0.5 && positionOf('b', key) < 0.5).length;
    expect(both).toBeGreaterThan(2_250);
    expect(both).toBeLessThan(2_750);
  });

  test('nothing is shared with itself or without a policy', () => {
    expect(direct(old, undefined, { key: 'k', random: 0 }, '')).toEqual({ answers: old, shadow: undefined });
    expect(direct(candidate, policy({ share: 1 }), { key: 'k', random: 0 }, '')).toEqual({ answers: candidate, shadow: undefined });
  });
});
